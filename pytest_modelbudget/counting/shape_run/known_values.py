"""Which tensors have known values and which have shapes alone, and what the result of a call on them depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_
from typing import Any

import torch

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, Spec, check_has_spec, spec_of, specs_of_weights
from pytest_modelbudget.counting.torch_private import backend_flags, set_data_of, storage_identity, storage_of

_default_dtype = torch.get_default_dtype
_OPTIONS = frozenset((torch.device, torch.dtype, torch.layout, torch.memory_format, type(None)))
"""Kinds of arguments that equal none of another kind."""
_known_flags: dict[tuple[Any, ...], int] = {}
"""A number for each state of the backends' flags that kernels read: they decide what an operator runs and returns."""


class KnownValues:
    """Which tensors of a run have known values: those that are neither shape tensors, nor weights, nor overwritten.

    ``_weights`` are the specs of real tensors whose values are ignored, by the tensors' identity. ``_unknown`` are the
    storages of real tensors that unknown values were written into: every view of them is unknown too. ``_exported`` are
    those whose memory others may read at any time, with their sizes. Storages are held, so that no other takes their
    address.
    """

    def __init__(self, on_unknown: Callable[[int], None]) -> None:
        self._flags = _known_flags.setdefault(backend_flags(), len(_known_flags))
        self._on_unknown = on_unknown
        self._exported: dict[int, tuple[torch.UntypedStorage, int]] = {}
        self._weights: dict[int, Spec] = {}
        self._unknown: dict[int, torch.UntypedStorage] = {}
        self._held: list[torch.Tensor] = []
        self._storages: list[torch.UntypedStorage] = []

    def ignore_values_of(self, weights: list[torch.Tensor]) -> None:
        """Treat real tensors as if they had shapes alone from here on."""
        self._held = weights
        self._weights = dict(zip(map(id, weights), specs_of_weights(weights), strict=True))
        self._storages = list(map(storage_of, weights))

    def put_weights_back(self) -> bool:
        """Return whether a weight was given other data past the dispatcher, and put its own back."""
        changed = False
        for storage, size in self._exported.values():
            if storage.nbytes() != size:
                storage.resize_(size)
                changed = True
        now = list(map(storage_of, self._held))
        if all(map(is_, now, self._storages)):
            return changed
        for weight, own, other in zip(self._held, self._storages, now, strict=True):
            if own is not other:
                spec = self._weights[id(weight)]
                whole = torch.empty(0, dtype=spec.dtype, device=own.device)
                set_data_of(weight, whole.set_(own, spec.offset, spec.shape, spec.stride))
        return True

    def without_weights(self, tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Return the tensors whose values are not ignored."""
        weights = self._weights
        return [tensor for tensor in tensors if id(tensor) not in weights]

    def is_unknown(self, storage: int) -> bool:
        """Return whether unknown values were written into a storage, given by its identity."""
        return storage in self._unknown

    def mark_unknown(self, storage: torch.UntypedStorage) -> None:
        """Treat the values of all tensors that share a storage as unknown."""
        identity = storage_identity(storage)
        if identity in self._unknown:
            return
        if identity in self._exported or not storage.resizable():  # NumPy's memory is not, nor what NumPy was given
            raise ShapeRunStop("unknown values are written where others may read them, as through a NumPy array")
        self._unknown[identity] = storage
        self._on_unknown(identity)

    def mark_written(self, tensor: torch.Tensor) -> None:
        """Treat what unknown values were written into as unknown: a real tensor, or the one that a view belongs to."""
        if type(tensor) is not ShapeTensor:
            self.mark_unknown(storage_of(tensor))
        elif tensor._base_storage is not None:
            self.mark_unknown(tensor._base_storage)

    def has_stale_data(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor has data that is not that of its values."""
        return _has_memory(tensor) and storage_identity(storage_of(tensor)) in self._unknown

    def note_exported(self, tensor: torch.Tensor) -> None:
        """Note that others may read the data of a tensor from here on."""
        if _has_memory(tensor):
            storage = storage_of(tensor)
            self._exported.setdefault(storage_identity(storage), (storage, storage.nbytes()))

    def mark_known_if_overwritten(self, args: Any) -> bool:
        """Return whether a fill, or a copy or storage of known values, makes all of a real tensor known again."""
        target, source = args[0], args[1:]
        if type(target) is ShapeTensor or id(target) in self._weights or target.is_meta:
            return False
        if source and isinstance(source[0], torch.UntypedStorage):
            return source[0].device == target.device and storage_identity(source[0]) not in self._unknown
        storage = storage_of(target)
        whole = target.numel() * target.element_size() == storage.nbytes()
        if not whole or any(isinstance(arg, torch.Tensor) and not self.is_known(arg) for arg in source):
            return False
        del self._unknown[storage_identity(storage)]
        return True

    def release(self) -> None:
        """Let go of every tensor, and of the run."""
        self._on_unknown = _nothing
        self._weights.clear()
        self._unknown.clear()
        self._exported.clear()
        self._held.clear()
        self._storages.clear()

    def call_key(self, args: Any, kwargs: dict[str, Any] | None, *, always: bool = False) -> tuple[bool, Any]:
        """Return whether any tensor of a call has unknown values, and what the result of the call depends on.

        The latter is None for real tensors with known values, unless it is ``always`` wanted: their calls are seldom
        remembered. Equal numbers of different types must differ: ``x + 1`` and ``x + 1.0`` give different dtypes.
        """
        unknown = False
        weights = self._weights
        parts: list[Any] = [_default_dtype(), self._flags]
        has_real = False
        for arg in args:
            kind = type(arg)
            if kind is ShapeTensor:
                unknown = True
                parts.append(arg._spec)
            elif kind is int or arg is None:
                parts.append(arg)
            elif kind is float or kind is bool:
                parts.append(kind)
                parts.append(arg)
            elif kind is list and arg and type(arg[0]) is int:
                parts.append(tuple(arg))
            else:
                weight = weights.get(id(arg))
                if weight is not None:
                    unknown = True
                    parts.append(weight)
                elif kind is torch.Tensor:
                    check_has_spec(arg)
                    unknown = unknown or self.is_overwritten(arg)
                    has_real = True
                    parts.append(arg)
                else:
                    is_unknown, part = self._argument_key(arg)
                    unknown = unknown or is_unknown
                    parts.append(part)
        if kwargs and self._add_keyword_keys(kwargs, parts):
            unknown = True
        if has_real:
            return unknown, _with_specs(parts) if unknown or always else None
        return unknown, tuple(parts)

    def _add_keyword_keys(self, kwargs: dict[str, Any], parts: list[Any]) -> bool:
        """Add what a result depends on to ``parts``; return whether any of it is unknown."""
        unknown = False
        for name, arg in kwargs.items():
            parts.append(name)
            kind = type(arg)
            if kind in _OPTIONS:
                parts.append(arg)
            elif kind is bool:
                parts.append(kind)
                parts.append(arg)
            else:
                is_unknown, part = self._argument_key(arg)
                unknown = unknown or is_unknown
                parts.append(part)
        return unknown

    def _argument_key(self, arg: Any) -> tuple[bool, Any]:
        kind = type(arg)
        if kind is ShapeTensor:
            return True, arg._spec
        if kind is list or kind is tuple:
            if arg and type(arg[0]) is int:
                return False, tuple(arg)
            pairs = [self._argument_key(item) for item in arg]
            return any(is_unknown for is_unknown, _ in pairs), tuple([part for _, part in pairs])
        if isinstance(arg, torch.Tensor):
            if kind not in PLAIN_TYPES:
                raise ShapeRunStop(f"tensors of type {kind.__name__} have operators of their own")
            weight = self._weights.get(id(arg))
            return (True, weight) if weight is not None else (self.is_overwritten(arg), spec_of(arg))
        if isinstance(arg, torch.ScriptObject):
            raise ShapeRunStop("packed weights have shapes of their own")
        return False, arg if kind is int else (kind, arg)

    def is_overwritten(self, tensor: torch.Tensor) -> bool:
        """Return whether unknown values were written into a real tensor, or it is a meta tensor, which has no data."""
        return tensor.is_meta or (bool(self._unknown) and storage_identity(storage_of(tensor)) in self._unknown)

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Return whether the values of a tensor are determined."""
        return type(tensor) is not ShapeTensor and id(tensor) not in self._weights and not self.is_overwritten(tensor)

    def spec_of(self, tensor: torch.Tensor) -> Spec:
        """Return the spec of a real tensor or a shape tensor."""
        if type(tensor) is ShapeTensor:
            return tensor._spec
        return self._weights.get(id(tensor)) or spec_of(tensor)


def _with_specs(parts: list[Any]) -> tuple[Any, ...]:
    return tuple([spec_of(part) if type(part) is torch.Tensor else part for part in parts])


def _has_memory(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) in PLAIN_TYPES and tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_nested
    )


def _nothing(_: int) -> None:
    """Follow a run that has ended."""
