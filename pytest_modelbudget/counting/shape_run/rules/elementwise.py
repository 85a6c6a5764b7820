"""Element-wise operators: shapes broadcast, and strides come out as TensorIterator orders them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pytest_modelbudget.counting.shape_run.rules.table import (
    Sizes,
    are_floating,
    in_layout_of,
    is_contiguous,
    is_dense,
    is_plain_value,
    row_major,
    rule,
)
from pytest_modelbudget.counting.shape_run.tensors import Spec, intern


def broadcast(specs: Sequence[Spec], dtype: torch.dtype | None = None) -> Spec | None:
    """Return what an element-wise operator gives; None where the shapes do not broadcast, or are empty.

    Source: TensorIterator. Tensors of one layout keep it; otherwise the dimensions are ordered by their strides.
    """
    rank = max(len(spec.shape) for spec in specs)
    padded = [(1,) * (rank - len(spec.shape)) + spec.shape for spec in specs]
    shape = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    if 0 in shape or any(size not in (1, full) for sizes in padded for size, full in zip(sizes, shape, strict=True)):
        return None
    first = specs[0]
    if all(spec.shape == shape for spec in specs):
        if all(map(is_contiguous, specs)):
            return row_major(shape, first, dtype)
        if all(spec.stride == first.stride for spec in specs) and is_dense(first):
            return in_layout_of(first, dtype)
    strides = [_iterated_strides(spec, shape) for spec in specs]
    order = _dimension_order(shape, strides)
    out, step = [0] * rank, 1
    for dim in order:
        out[dim] = step
        step *= shape[dim]
    return intern(shape, tuple(out), 0, dtype or first.dtype)


def _iterated_strides(spec: Spec, shape: Sizes) -> Sizes:
    """Return the strides with which a tensor is read when it is broadcast to ``shape``: 0 where it is repeated."""
    missing = len(shape) - len(spec.shape)
    own = zip(spec.shape, spec.stride, shape[missing:], strict=True)
    return (0,) * missing + tuple(0 if size == 1 != full else stride for size, stride, full in own)


def _dimension_order(shape: Sizes, strides: list[Sizes]) -> list[int]:
    """Return the dimensions from the fastest to the slowest, as TensorIterator sorts them (a stable insertion sort)."""
    order = list(reversed(range(len(shape))))
    for start in range(1, len(order)):
        at = start
        for before in range(start - 1, -1, -1):
            order_of_two = _compare(order[before], order[at], shape, strides)
            if order_of_two > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif order_of_two < 0:
                break
    return order


def _compare(a: int, b: int, shape: Sizes, strides: list[Sizes]) -> int:
    for stride in strides:
        if stride[a] == 0 or stride[b] == 0:
            continue
        if stride[a] != stride[b]:
            return -1 if stride[a] < stride[b] else 1
        if shape[a] > shape[b]:
            return 1
    return 0


UNARY = (
    "abs ceil clamp clamp_max clamp_min cos elu erf exp floor gelu hardsigmoid hardswish hardtanh leaky_relu log log1p"
)
UNARY += " mish neg reciprocal relu round rsqrt sigmoid silu sin sqrt tanh"


@rule("bernoulli_.float", "fill_.Scalar", "normal_", "uniform_", "exponential_", "random_")
@rule("empty_like")
def filled_in_place(x: Any, *parameters: Any, **options: Any) -> Any:
    """Answer fresh memory, or numbers of whatever kind, in the layout of a dense tensor."""
    plain = all(value is None or type(value) in (int, float) for value in parameters)
    return in_layout_of(x) if plain and not options and are_floating(x) and is_dense(x) else None


@rule(*(f"{name}{mark}" for name in UNARY.split() for mark in ("", "_")), "softplus")
def unary(x: Any, *parameters: Any, **options: Any) -> Any:
    """Answer an element-wise function of one tensor."""
    if options or not are_floating(x) or any(not is_plain_value(value) for value in parameters):
        return None
    return broadcast((x,))


@rule(*(f"{name}{mark}" for name in ("add", "sub", "mul", "div") for mark in ("", "_")), "maximum", "minimum", "rsub")
@rule("gelu_backward", "silu_backward", "sigmoid_backward", "tanh_backward", "hardswish_backward")
def binary(a: Any, b: Any, *parameters: Any, **options: Any) -> Any:
    """Answer an element-wise function of two tensors, or of a tensor and a real number."""
    if set(options) - {"alpha", "approximate"} or any(
        not is_plain_value(value) for value in (*parameters, *options.values())
    ):
        return None
    if type(b) is not Spec:
        return broadcast((a,)) if is_plain_value(b) and are_floating(a) else None
    return broadcast((a, b)) if are_floating(a, b) else None


@rule("threshold_backward")
def threshold_backward(grad: Any, x: Any, threshold: Any) -> Any:
    """Answer the gradient of a threshold, which is laid out as its input."""
    return broadcast((x, grad)) if is_plain_value(threshold) and are_floating(x, grad) else None


@rule("pow")
def power(x: Any, exponent: Any) -> Any:
    """Answer a tensor to the power of a number."""
    return broadcast((x,)) if type(x) is Spec and is_plain_value(exponent) and are_floating(x) else None


@rule("eq", "ne", "lt", "le", "gt", "ge")
def comparison(a: Any, b: Any) -> Any:
    """Answer a comparison."""
    if type(b) is not Spec:
        return broadcast((a,), torch.bool) if is_plain_value(b) and are_floating(a) else None
    return broadcast((a, b), torch.bool) if are_floating(a, b) else None


@rule("where")
def where(condition: Any, a: Any = None, b: Any = None) -> Any:
    """Answer a choice between two tensors."""
    if not (type(condition) is Spec and type(a) is Spec and type(b) is Spec and are_floating(a, b)):
        return None
    return broadcast((condition, a, b), a.dtype)


@rule("masked_fill.Scalar", "masked_fill.Tensor")
def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """Answer a tensor with a number in some places, which is row-major whatever the tensor is."""
    if not are_floating(x, *[value] if type(value) is Spec else []) or mask.dtype is not torch.bool:
        return None
    if value.shape if type(value) is Spec else not is_plain_value(value):
        return None
    out = broadcast((x, mask))
    return row_major(out.shape, x) if out is not None else None


@rule("clone")
def clone(x: Spec, *, memory_format: Any = None) -> Any:
    """Answer a copy of a dense tensor in its layout, or of any tensor in rows."""
    if x.bits or memory_format not in (None, torch.preserve_format, torch.contiguous_format):
        return None
    if memory_format is torch.contiguous_format:
        return row_major(x.shape, x)
    return in_layout_of(x) if is_dense(x) else None
