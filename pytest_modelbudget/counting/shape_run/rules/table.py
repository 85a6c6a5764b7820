"""The table of shape rules, and what they say of layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pytest_modelbudget.counting.shape_run.tensors import Spec, contiguous_strides, intern

Rule = Callable[..., Any]
SHAPE_RULES: dict[str, Rule] = {}
Sizes = tuple[int, ...]


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of aten, by name or by name and overload (``mean.dim``)."""

    def register(function: Rule) -> Rule:
        for name in names:
            SHAPE_RULES[f"aten::{name}"] = function
        return function

    return register


def is_contiguous(spec: Spec) -> bool:
    """Return whether a tensor is row-major; strides of dimensions of size 1 do not matter."""
    expected = 1
    for size, stride in zip(reversed(spec.shape), reversed(spec.stride), strict=True):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return 0 not in spec.shape


def is_dense(spec: Spec) -> bool:
    """Return whether a tensor fills its memory without gaps or overlaps, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted((st, si) for st, si in zip(spec.stride, spec.shape, strict=True) if si != 1):
        if stride != expected:
            return False
        expected *= size
    return 0 not in spec.shape


def row_major(shape: Sequence[int], like: Spec, dtype: torch.dtype | None = None) -> Spec:
    """Return the spec of a new row-major tensor with the dtype of another."""
    return intern(tuple(shape), contiguous_strides(shape), 0, dtype or like.dtype)


def in_layout_of(x: Spec, dtype: torch.dtype | None = None) -> Spec:
    """Return the spec of a new tensor laid out as another, which is dense."""
    return intern(x.shape, x.stride, 0, dtype or x.dtype)


def are_floating(*specs: Any) -> bool:
    """Return whether all are tensors of one floating dtype."""
    first = specs[0]
    return all(type(spec) is Spec and spec.dtype is first.dtype and spec.dtype.is_floating_point for spec in specs)


def is_plain_value(value: Any) -> bool:
    """Return whether an argument is neither a tensor nor a complex number."""
    return value is None or isinstance(value, (bool, int, float, str))
