"""Views: their shapes, strides and offsets follow from those of the tensor that they look at, whatever its dtype."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import prod
from typing import Any

from pytest_modelbudget.counting.shape_run.rules.table import Sizes, rule
from pytest_modelbudget.counting.shape_run.tensors import Spec, intern


def _view(x: Spec, shape: Sequence[int], stride: Sequence[int], offset: int | None = None) -> Spec:
    return intern(tuple(shape), tuple(stride), x.offset if offset is None else offset, x.dtype, x.device, x.bits)


def _dimension(dim: Any, rank: int) -> int | None:
    """Return a dimension counted from the first, or None where there is none such."""
    return dim % rank if type(dim) is int and -rank <= dim < rank else None


@rule("alias", "detach")
def alias(x: Spec) -> Any:
    """Answer a view of the whole tensor."""
    return x


@rule("t")
def t(x: Spec) -> Any:
    """Answer a transposed matrix; what has fewer dimensions stays as it is."""
    return _view(x, x.shape[::-1], x.stride[::-1]) if len(x.shape) <= 2 else None


@rule("transpose.int")
def transpose(x: Spec, first: Any, second: Any) -> Any:
    """Answer an exchange of two dimensions."""
    a, b = _dimension(first, len(x.shape)), _dimension(second, len(x.shape))
    if a is None or b is None:
        return None
    order = list(range(len(x.shape)))
    order[a], order[b] = b, a
    return permute(x, order)


@rule("permute")
def permute(x: Spec, dims: Any) -> Any:
    """Answer another order of the dimensions."""
    rank = len(x.shape)
    order = [dim % rank for dim in dims if _dimension(dim, rank) is not None]
    if sorted(order) != list(range(rank)) or len(order) != len(dims):
        return None
    return _view(x, [x.shape[dim] for dim in order], [x.stride[dim] for dim in order])


@rule("expand")
def expand(x: Spec, sizes: Any, *, implicit: bool = False) -> Any:
    """Answer a tensor whose dimensions of size 1 are repeated, and that may have more of them in front."""
    missing = len(sizes) - len(x.shape)
    if missing < 0 or not _are_sizes(sizes) or -1 in sizes[:missing] or 0 in (*sizes, *x.shape):
        return None
    if not x.shape:
        return _view(x, sizes, [0] * missing)
    own = (1,) * missing + x.shape
    shape = [size if wanted == -1 else wanted for wanted, size in zip(sizes, own, strict=True)]
    stride = [0] * missing + list(x.stride)
    for dim, size in enumerate(own):
        if shape[dim] != size:
            if size != 1:
                return None
            stride[dim] = 0
    for dim in reversed(range(missing)):
        stride[dim] = shape[dim + 1] * stride[dim + 1] if shape[dim] == 1 else 0
    return _view(x, shape, stride)


@rule("unsqueeze")
def unsqueeze(x: Spec, dim: Any) -> Any:
    """Answer one more dimension, of size 1."""
    rank = len(x.shape)
    at = _dimension(dim, rank + 1)
    if at is None:
        return None
    step = x.shape[at] * x.stride[at] if at < rank else 1
    return _view(x, (*x.shape[:at], 1, *x.shape[at:]), (*x.stride[:at], step, *x.stride[at:]))


@rule("squeeze.dim")
def squeeze(x: Spec, dim: Any) -> Any:
    """Answer one dimension fewer, if its size is 1."""
    at = _dimension(dim, len(x.shape))
    if at is None or x.shape[at] != 1:
        return None if at is None else x
    return _view(x, (*x.shape[:at], *x.shape[at + 1 :]), (*x.stride[:at], *x.stride[at + 1 :]))


@rule("select.int")
def select(x: Spec, dim: Any, index: Any) -> Any:
    """Answer one place along a dimension."""
    at = _dimension(dim, len(x.shape))
    place = None if at is None else _dimension(index, x.shape[at])
    if at is None or place is None:
        return None
    offset = x.offset + place * x.stride[at]
    return _view(x, (*x.shape[:at], *x.shape[at + 1 :]), (*x.stride[:at], *x.stride[at + 1 :]), offset)


@rule("slice.Tensor")
def slice_of(x: Spec, dim: Any = 0, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    """Answer a part of the places along a dimension."""
    at = _dimension(dim, len(x.shape))
    if at is None or not all(value is None or type(value) is int for value in (start, end)):
        return None
    if type(step) is not int or step < 1:
        return None
    first, behind, _ = slice(start, end).indices(x.shape[at])
    size = max(behind - first, 0) + step - 1
    shape = (*x.shape[:at], size // step, *x.shape[at + 1 :])
    stride = (*x.stride[:at], x.stride[at] * step, *x.stride[at + 1 :])
    return _view(x, shape, stride, x.offset + first * x.stride[at])


@rule("view", "_unsafe_view")
def view(x: Spec, sizes: Any) -> Any:
    """Answer another shape of a tensor that has elements."""
    numel, known = prod(x.shape), prod(size for size in sizes if size != -1)
    if not _are_sizes(sizes) or not numel or not known or sizes.count(-1) > 1:
        return None
    shape = [numel // known if size == -1 else size for size in sizes]
    stride = _strides_of_view(x, shape) if prod(shape) == numel else None
    return None if stride is None else _view(x, shape, stride)


def _strides_of_view(x: Spec, shape: list[int]) -> list[int] | None:
    """Return the strides with which elements are seen in another shape, or None where one stride cannot tell.

    Dimensions that follow each other in memory form a block; a dimension of the new shape lies in one block.
    """
    stride: list[int] = []
    for size, step in _blocks(x):
        inside = 1
        while len(stride) < len(shape) and (inside < size or shape[-1 - len(stride)] == 1):
            stride.append(inside * step)
            inside *= shape[-len(stride)]
        if inside != size:
            return None
    return stride[::-1]


def _blocks(x: Spec) -> Iterator[tuple[int, int]]:
    """Yield how many elements each block of dimensions has, and its smallest step, the last block first."""
    size, step = 1, x.stride[-1] if x.stride else 1
    for its_size, its_stride in zip(reversed(x.shape), reversed(x.stride), strict=True):
        if its_size != 1 and its_stride != size * step:
            yield size, step
            size, step = 1, its_stride
        size *= its_size
    yield size, step


@rule("split.Tensor")
def split(x: Spec, size: Any, dim: Any = 0) -> Any:
    """Answer parts of one size along a dimension; the last may be smaller."""
    at = _dimension(dim, len(x.shape))
    if at is None or type(size) is not int or size < 1 or not x.shape[at]:
        return None
    return [slice_of(x, at, start, start + size) for start in range(0, x.shape[at], size)]


@rule("split_with_sizes")
def split_with_sizes(x: Spec, sizes: Any, dim: Any = 0) -> Any:
    """Answer parts of given sizes along a dimension."""
    at = _dimension(dim, len(x.shape))
    if at is None or sum(sizes) != x.shape[at] or any(type(size) is not int or size < 0 for size in sizes):
        return None
    ends = [*accumulate(sizes)]
    return [slice_of(x, at, end - size, end) for end, size in zip(ends, sizes, strict=True)]


@rule("unbind.int")
def unbind(x: Spec, dim: Any = 0) -> Any:
    """Answer every place along a dimension."""
    at = _dimension(dim, len(x.shape))
    return None if at is None else [select(x, at, index) for index in range(x.shape[at])]


def _are_sizes(sizes: Sizes) -> bool:
    return all(type(size) is int and size >= -1 for size in sizes)
