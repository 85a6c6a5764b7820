"""New tensors of given sizes."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.shape_run.rules.table import rule
from pytest_modelbudget.counting.shape_run.tensors import contiguous_strides, intern


@rule("empty.memory_format", "ones", "zeros")
def new(
    sizes: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    memory_format: Any = None,
) -> Any:
    """Answer a new row-major tensor."""
    if layout not in (None, torch.strided) or pin_memory or memory_format not in (None, torch.contiguous_format):
        return None
    if not all(type(size) is int and size >= 0 for size in sizes):
        return None
    return intern(tuple(sizes), contiguous_strides(sizes), 0, dtype or torch.get_default_dtype())


@rule("scalar_tensor")
def scalar(value: Any, **options: Any) -> Any:
    """Answer a tensor without dimensions; unless it is told, its dtype is the default, whatever the number is."""
    return new((), **options) if type(value) in (bool, float, int) else None


@rule("arange", "arange.start", "arange.start_step")
def arange(*bounds: Any, **options: Any) -> Any:
    """Answer consecutive integers."""
    if not all(type(bound) is int for bound in bounds):
        return None
    first, end, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    if not step or (end - first) * step < 0:
        return None
    return new((len(range(first, end, step)),), **{**options, "dtype": options.get("dtype") or torch.int64})
