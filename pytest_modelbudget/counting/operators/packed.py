"""Packed weights: objects of torch's quantized kernels that hold a weight in the layout of the kernel."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.operators.registry import Shape


def packed_shapes(holder: Any) -> list[Shape]:
    """Return the shapes of the weights that a packed object holds, in order.

    It is a packed weight, or its state leads to some, in tuples and lists of any nesting. Those that do not open are
    left out.
    """
    if isinstance(holder, (tuple, list)):
        return [shape for item in holder for shape in packed_shapes(item)]
    if not isinstance(holder, torch.ScriptObject):
        return []
    if hasattr(holder, "unpack"):
        shape = _unpacked_shape(holder)
        return [] if shape is None else [shape]
    try:
        state = holder.__getstate__()
    except (AttributeError, RuntimeError, TypeError):
        return []
    return packed_shapes(state)


def _unpacked_shape(packed: Any) -> Shape | None:
    try:
        opened = packed.unpack()
    except RuntimeError:
        return None
    weight = opened[0] if isinstance(opened, (tuple, list)) else opened
    return tuple(weight.shape) if isinstance(weight, torch.Tensor) else None
