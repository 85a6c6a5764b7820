"""What is known of a tensor beside its values, and tensors that have nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import torch

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.operators.registry import Shape
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import storage_of


class Spec:
    """Everything about a tensor but its values and its device. Interned: equal specs are one object.

    ``bits`` says what is still to be done to every value that is read: ``CONJUGATED``, ``NEGATED``. ``span`` is how
    many elements its memory has to hold; ``layout`` tells how it lies there, or is None for a plain row of elements.
    """

    __slots__ = ("bits", "dtype", "layout", "offset", "shape", "span", "stride")

    def __init__(self, shape: Shape, stride: Shape, offset: int, dtype: torch.dtype, bits: int = 0) -> None:
        self.shape = shape
        self.stride = stride
        self.offset = offset
        self.dtype = dtype
        self.bits = bits
        self.span = 0 if 0 in shape else 1 + offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        layout = (shape, stride, offset) if offset else (shape, stride)
        self.layout = None if len(shape) == 1 and stride == (1,) and not offset else layout


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """Return the strides of a row-major tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


CONJUGATED, NEGATED = 1, 2
_QUANTIZED = frozenset((torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4))
_MOST_INTERNED = 1 << 16
_interned: dict[tuple[Any, ...], Spec] = {}


def intern(shape: Shape, stride: Shape, offset: int | torch.SymInt, dtype: torch.dtype, bits: int = 0) -> Spec:
    """Return the one spec with these values."""
    key = (shape, stride, offset, dtype, bits)
    spec = _interned.get(key)
    if spec is None:
        if len(_interned) >= _MOST_INTERNED:
            _interned.clear()  # an old spec stays valid: a new equal one only misses the memo once
        spec = Spec(tuple(shape), stride, int(offset), dtype, bits)
        _interned[spec.shape, spec.stride, spec.offset, dtype, bits] = spec
    return spec


def check_has_spec(tensor: torch.Tensor) -> None:
    """End the run where a tensor has more than a shape and elements of one size."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        raise ShapeRunStop(f"a tensor of layout {tensor.layout} or dtype {tensor.dtype} has more than a shape")


def bits_of(tensor: torch.Tensor) -> int:
    """Return what is still to be done to the values of a tensor."""
    return CONJUGATED * tensor.is_conj() + NEGATED * tensor.is_neg()


def spec_of(tensor: torch.Tensor) -> Spec:
    """Return the spec of a strided tensor."""
    check_has_spec(tensor)
    return intern(tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype, bits_of(tensor))


_shape_dtype_layout = attrgetter("shape", "dtype", "layout")


def specs_of_weights(tensors: list[torch.Tensor]) -> Iterator[Spec]:
    """Yield the specs of weights, whose values are as they are stored."""
    strided = torch.strided
    for tensor, (shape, dtype, layout) in zip(tensors, map(_shape_dtype_layout, tensors), strict=True):
        if layout is not strided or dtype in _QUANTIZED:
            yield spec_of(tensor)
        else:
            yield intern(shape, tensor.stride(), tensor.storage_offset(), dtype)


def is_inexact(dtype: torch.dtype) -> bool:
    """Return whether a dtype is floating-point or complex."""
    return dtype.is_floating_point or dtype.is_complex


def without_data(
    tensor: torch.Tensor, new_tensor: Callable[[Spec], torch.Tensor], ignore: Callable[[torch.Tensor], None]
) -> Any:
    """Return what stands for an input: a tensor without values for a floating-point one, or one of any dtype on meta.

    ``new_tensor`` makes it. One whose memory an array may have too stays itself, and ``ignore`` is told of it. So do
    all others.
    """
    if type(tensor) not in PLAIN_TYPES or not (is_inexact(tensor.dtype) or tensor.is_meta):
        return tensor
    spec = spec_of(tensor)
    if not tensor.is_meta and not storage_of(tensor).resizable():
        ignore(tensor)
        return tensor
    made = new_tensor(spec)
    if tensor.__dict__:
        made.__dict__.update(tensor.__dict__)
    return made.requires_grad_(tensor.requires_grad) if tensor.requires_grad else made
