"""Shape tensors: tensors that have a shape, strides, a dtype and a device, and no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NoReturn

import torch

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.operators.registry import Shape
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import (
    DisableTorchDispatch,
    disabled_torch_function,
    local_scalar_dense,
    make_wrapper_subclass,
    set_data_of,
    storage_of,
)


class Spec:
    """Everything about a tensor but its values. Interned: equal specs are one object, so they hash by identity.

    ``bits`` says what is still to be done to every value that is read: ``CONJUGATED``, ``NEGATED``. ``make`` makes a
    shape tensor, in which :func:`new_shape_tensor` notes its spec.
    """

    __slots__ = ("bits", "device", "dtype", "make", "offset", "shape", "stride")

    def __init__(
        self, shape: Shape, stride: Shape, offset: int, dtype: torch.dtype, device: torch.device, bits: int = 0
    ) -> None:
        self.shape = shape
        self.stride = stride
        self.offset = offset
        self.dtype = dtype
        self.device = device
        self.bits = bits
        plain = offset == 0 and stride == contiguous_strides(shape)
        layout = (None, None) if plain else (stride, offset)  # parsing takes longer than making the tensor
        self.make: Callable[[], ShapeTensor] = partial(
            make_wrapper_subclass, ShapeTensor, shape, *layout, None, dtype, torch.strided, device
        )


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


def intern(
    shape: Shape,
    stride: Shape,
    offset: int | torch.SymInt,
    dtype: torch.dtype,
    device: torch.device,
    bits: int = 0,
) -> Spec:
    """Return the one spec with these values."""
    key = (shape, stride, offset, dtype, device, bits)
    spec = _interned.get(key)
    if spec is None:
        if len(_interned) >= _MOST_INTERNED:
            _interned.clear()  # an old spec stays valid: a new equal one only misses the memo once
        spec = Spec(tuple(shape), stride, int(offset), dtype, device, bits)
        _interned[spec.shape, spec.stride, spec.offset, dtype, device, bits] = spec
    return spec


def check_has_spec(tensor: torch.Tensor) -> None:
    """End the run where a real tensor has more than a shape and elements of one size."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        raise ShapeRunStop(f"a tensor of layout {tensor.layout} or dtype {tensor.dtype} has more than a shape")


def spec_of(tensor: torch.Tensor, device: torch.device | None = None) -> Spec:
    """Return the spec of a strided tensor, optionally as if it lived on another device."""
    check_has_spec(tensor)
    dtype = tensor.dtype
    bits = CONJUGATED if dtype.is_complex and tensor.is_conj() else 0
    if tensor.is_neg():
        bits |= NEGATED
    return intern(tensor.shape, tensor.stride(), tensor.storage_offset(), dtype, device or tensor.device, bits)


_shape_dtype_device_layout = attrgetter("shape", "dtype", "device", "layout")


def specs_of_weights(tensors: list[torch.Tensor]) -> Iterator[Spec]:
    """Yield the specs of weights, whose values are as they are stored."""
    strided = torch.strided
    for tensor, (shape, dtype, device, layout) in zip(tensors, map(_shape_dtype_device_layout, tensors), strict=True):
        if layout is not strided or dtype in _QUANTIZED:
            yield spec_of(tensor)
        else:
            yield intern(shape, tensor.stride(), tensor.storage_offset(), dtype, device)


def stop_for_values(tensor: ShapeTensor, operation: str) -> NoReturn:
    """Leave the shape run because ``operation`` asks a shape tensor for its values, where no dispatcher sees it."""
    try:
        local_scalar_dense(tensor)  # the run must see, and remember, that values were asked for
    except ShapeRunStop as stop:
        stop.args = (operation,)
        raise
    raise ShapeRunStop(operation)


class ShapeTensor(torch.Tensor):
    """A tensor without data. Whatever asks it for values, past the dispatcher too, ends the shape run."""

    __slots__ = ("_base_storage", "_is_param", "_spec")  # not in __dict__, which models copy from tensor to tensor
    __torch_function__ = disabled_torch_function
    _spec: Spec
    _base_storage: torch.UntypedStorage | None  # of the real tensor that this is a view of
    _is_param: bool  # set by torch on parameters alone

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> Any:
        """Refuse to run outside of a shape run: there is nothing to compute with."""
        raise ShapeRunStop(f"{func} was called on a tensor without data, outside of the run that made it")

    @property
    def __class__(self) -> type:
        """The class that a real tensor would have, for code that asks; ``type`` alone tells the truth."""
        return torch.nn.Parameter if getattr(self, "_is_param", False) else torch.Tensor

    @__class__.setter
    def __class__(self, kind: type) -> NoReturn:
        stop_for_values(self, f"making a tensor a {kind.__name__}")

    def __deepcopy__(self, memo: dict[int, Any]) -> ShapeTensor:
        """Return another tensor of the same spec, as a deep copy of a real one would be."""
        if id(self) in memo:
            known: ShapeTensor = memo[id(self)]
            return known
        twin = new_shape_tensor(self._spec)
        twin.requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            twin._is_param = True
        twin.__dict__.update(self.__dict__)
        memo[id(self)] = twin
        return twin

    @property
    def data(self) -> torch.Tensor:
        """Return a detached alias."""
        return self.detach()

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        change_metadata(self, value._spec if type(value) is ShapeTensor else spec_of(value))

    def is_conj(self) -> bool:
        """Return whether the values are still to be conjugated."""
        return bool(self._spec.bits & CONJUGATED)

    def is_neg(self) -> bool:
        """Return whether the values are still to be negated."""
        return bool(self._spec.bits & NEGATED)

    def resolve_conj(self) -> torch.Tensor:
        """Return a tensor whose values are conjugated."""
        return self.clone() if self.is_conj() else self

    def resolve_neg(self) -> torch.Tensor:
        """Return a tensor whose values are negated."""
        return self.clone() if self.is_neg() else self

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]  # torch names the one that it takes
        stop_for_values(self, "formatting a tensor")

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        stop_for_values(self, "formatting a tensor")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        stop_for_values(self, "pickling a tensor")


def _method_that_stops(name: str) -> Any:
    def method(self: ShapeTensor, *_: Any, **__: Any) -> NoReturn:
        stop_for_values(self, f"Tensor.{name}()")

    return method


for _name in ("__array__", "__dlpack__", "data_ptr", "numpy", "share_memory_", "storage", "tolist", "untyped_storage"):
    setattr(ShapeTensor, _name, _method_that_stops(_name))


# For code that asks for the name of its type.
ShapeTensor.__name__, ShapeTensor.__qualname__, ShapeTensor.__module__ = "Tensor", "Tensor", "torch"


def new_shape_tensor(spec: Spec) -> ShapeTensor:
    """Return a new shape tensor."""
    tensor = spec.make()
    tensor._spec = spec
    tensor._base_storage = None
    return tensor


def change_metadata(tensor: ShapeTensor, spec: Spec) -> None:
    """Change the metadata of a shape tensor in place, as ``t_()``, ``resize_()`` and assigning ``.data`` do."""
    with DisableTorchDispatch():
        set_data_of(tensor, new_shape_tensor(spec))
    tensor._spec = spec


def is_inexact(dtype: torch.dtype) -> bool:
    """Return whether a dtype is floating-point or complex."""
    return dtype.is_floating_point or dtype.is_complex


def without_data(tensor: torch.Tensor, new_tensor: Callable[[Spec], ShapeTensor], device: torch.device | None) -> Any:
    """Return the shape tensor that stands for an input: a floating-point tensor, or one of any dtype on ``meta``.

    ``new_tensor`` makes it; ``device`` is the device of those that are on the meta device. Others stay what they are.
    """
    if type(tensor) not in PLAIN_TYPES or not (is_inexact(tensor.dtype) or tensor.is_meta):
        return tensor
    made = new_tensor(spec_of(tensor, device if tensor.is_meta else None))
    storage = storage_of(tensor)
    if not storage.resizable():  # an array may have the same memory
        made._base_storage = storage
    if tensor.__dict__:
        made.__dict__.update(tensor.__dict__)
    return made.requires_grad_(tensor.requires_grad) if tensor.requires_grad else made
