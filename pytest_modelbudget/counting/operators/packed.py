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


def contents(holder: Any) -> list[torch.Tensor] | None:
    """Return the tensors that a packed object holds, as it holds them; None where it does not open."""
    if isinstance(holder, torch.Tensor):
        return [holder]
    if isinstance(holder, (tuple, list)):
        parts = [contents(item) for item in holder]
        return None if None in parts else [tensor for part in parts for tensor in part or ()]
    if not isinstance(holder, torch.ScriptObject):
        return []
    try:
        if not hasattr(holder, "unpack"):
            return contents(holder.__getstate__())
        weight, *others = _unpacked(holder)
    except (AttributeError, RuntimeError, TypeError):
        return None
    if weight.dtype is torch.float32 and "LinearPackedParams" in name_of(holder):
        weight = weight.half()  # it holds half as much as it gives
    return contents([weight, *others])


def name_of(holder: Any) -> str:
    """Return what stands among the unknown operators for a packed object that does not open."""
    return f"weights::{holder._type().name()}"


def _unpacked(packed: Any) -> tuple[Any, ...] | list[Any]:
    opened = packed.unpack()
    return opened if isinstance(opened, (tuple, list)) else (opened,)


def _unpacked_shape(packed: Any) -> Shape | None:
    try:
        weight = _unpacked(packed)[0]
    except RuntimeError:
        return None
    return tuple(weight.shape) if isinstance(weight, torch.Tensor) else None
