"""Packed weights: objects of torch's quantized kernels that hold a weight in the layout of the kernel."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.operators.registry import Shape
from pytest_modelbudget.counting.torch_private import class_of_script_object


def packed_shapes(holder: Any) -> list[Shape]:
    """Return the shapes of the weights that packed objects hold, in order, without biases; none where one is closed."""
    return [tuple(tensor.shape) for tensor in contents(holder) or () if tensor.dim() > 1]


def contents(holder: Any) -> list[torch.Tensor] | None:
    """Return the tensors that packed objects hold, as they hold them; None where one does not open.

    A packed weight gives them, or its state leads to some, in tuples and lists of any nesting.
    """
    if isinstance(holder, torch.Tensor):
        return [holder]
    if isinstance(holder, (tuple, list)):
        parts = [contents(item) for item in holder]
        return None if None in parts else [tensor for part in parts for tensor in part or ()]
    if not isinstance(holder, torch.ScriptObject):
        return []
    try:
        inside = _inside(holder)
    except (AttributeError, RuntimeError, TypeError):
        return None
    found = contents(inside)
    if found and found[0].dtype is torch.float32 and "LinearPackedParams" in name_of(holder):
        found[0] = found[0].half()  # it holds half as much as it gives
    return found


def _inside(holder: Any) -> Any:
    return holder.unpack() if hasattr(holder, "unpack") else holder.__getstate__()


def name_of(holder: Any) -> str:
    """Return what stands among the unknown operators for a packed object that does not open."""
    return f"weights::{class_of_script_object(holder).name()}"
