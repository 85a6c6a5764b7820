"""Which tensors have known values, and what the result of a call on them depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_
from typing import Any

import torch

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.shape_run.reserved_memory import BEHIND, FIRST
from pytest_modelbudget.counting.shape_run.tensors import Spec, bits_of, check_has_spec, spec_of, specs_of_weights
from pytest_modelbudget.counting.torch_private import (
    address_of_storage,
    backend_flags,
    set_data_of,
    storage_identity,
    storage_of,
)

_COMPLEX = frozenset((torch.complex32, torch.complex64, torch.complex128))
_default_dtype = torch.get_default_dtype
plain_tensor, parameter = torch.Tensor, torch.nn.Parameter
_SCALARS = frozenset((bool, float, int, str, torch.device, torch.dtype, torch.layout, torch.memory_format, type(None)))
"""Kinds of arguments that are no tensors and hold none: looking them up is quicker than ``isinstance``."""
_known_flags: dict[tuple[Any, ...], int] = {}
"""A number for each state of the backends' flags that kernels read: they decide what an operator runs and returns."""


class KnownValues:
    """Which tensors of a run have known values: all but those that lie in reserved memory, on meta, or are unknown.

    ``_unknown`` are the storages of real tensors whose values are ignored, as those of weights, or that unknown values
    were written into, by their addresses; the latter are ``stale``. Every view of them is unknown too. ``_weights``
    are the specs of weights by the tensors' identity, which is quicker to look up, until one is given other data or
    another shape; ``_own_specs`` are those that they had. ``_exported`` are the storages whose
    memory others may read at any time, with their sizes. Storages are held, so that no other takes their address.
    ``has_bits``: there may be tensors whose values are still to be conjugated or negated.
    """

    def __init__(self, on_unknown: Callable[[torch.Tensor], None]) -> None:
        self.has_bits = False
        self._flags = _known_flags.setdefault(backend_flags(), len(_known_flags))
        self._on_unknown = on_unknown
        self._exported: dict[int, tuple[torch.UntypedStorage, int]] = {}
        self._weights: dict[int, Spec] = {}
        self._own_specs: dict[int, Spec] = {}
        self._unknown: dict[int, torch.UntypedStorage] = {}
        self.stale: set[int] = set()
        self._held: tuple[list[torch.Tensor], list[torch.UntypedStorage]] = [], []

    def ignore_values_of(self, weights: Iterable[torch.Tensor]) -> None:
        """Treat real tensors as if they had shapes alone from here on."""
        weights = list(weights)
        storages = list(map(storage_of, weights))
        self._weights.update(zip(map(id, weights), specs_of_weights(weights), strict=True))
        self._own_specs = self._weights.copy()
        self._unknown.update(zip(map(address_of_storage, weights), storages, strict=True))
        self._unknown.pop(0, None)  # of what has no memory, on meta or because it is empty
        self._held = [*self._held[0], *weights], [*self._held[1], *storages]

    def put_weights_back(self) -> bool:
        """Return whether a weight was given other data past the dispatcher, and put its own back."""
        changed = False
        for storage, size in self._exported.values():
            if storage.nbytes() != size:
                storage.resize_(size)
                changed = True
        weights, storages = self._held
        now = list(map(storage_of, weights))
        if all(map(is_, now, storages)):
            return changed
        for weight, own, other in zip(weights, storages, now, strict=True):
            if own is not other:
                spec = self._own_specs[id(weight)]
                whole = torch.empty(0, dtype=spec.dtype, device=own.device)
                set_data_of(weight, whole.set_(own, spec.offset, spec.shape, spec.stride))
        return True

    def without_weights(self, tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Return the tensors whose values are not ignored."""
        weights = self._own_specs
        return [tensor for tensor in tensors if id(tensor) not in weights]

    def forget_spec(self, tensor: torch.Tensor) -> None:
        """Look at a tensor anew from here on: it is given other data, or another shape."""
        self._weights.pop(id(tensor), None)

    def mark_unknown(self, tensor: torch.Tensor) -> None:
        """Treat the values of a real tensor, and of all that share its storage, as unknown: they were overwritten."""
        address = address_of_storage(tensor)
        if address in self.stale or not address:
            return
        storage = storage_of(tensor)
        identity = storage_identity(storage)
        if identity in self._exported or not storage.resizable():  # NumPy's memory is not, nor what NumPy was given
            raise ShapeRunStop("unknown values are written where others may read them, as through a NumPy array")
        self._unknown[address] = storage
        self.stale.add(address)
        self._on_unknown(tensor)

    def has_stale_data(self, tensor: torch.Tensor) -> bool:
        """Return whether what lies in the memory of a tensor, of any class, is not what its values are."""
        try:
            address = address_of_storage(tensor)
        except RuntimeError:
            return False  # it has no storage
        return FIRST <= address < BEHIND or address in self.stale

    def note_exported(self, tensor: torch.Tensor) -> None:
        """Note that code outside of torch, such as NumPy, may read the data of a tensor from here on."""
        if _has_memory(tensor):
            storage = storage_of(tensor)
            self._exported.setdefault(storage_identity(storage), (storage, storage.nbytes()))

    def mark_known_if_overwritten(self, args: Any) -> bool:
        """Return whether a fill, or a copy of known values, makes all of a real tensor known again."""
        target, source = args[0], args[1:]
        address = address_of_storage(target)
        if address not in self.stale or id(target) in self._own_specs:
            return False
        whole = target.numel() * target.element_size() == storage_of(target).nbytes()
        if not whole or any(isinstance(arg, torch.Tensor) and not self.is_known(arg) for arg in source):
            return False
        del self._unknown[address]
        self.stale.discard(address)
        return True

    def release(self) -> None:
        """Let go of every tensor, and of the run."""
        self._on_unknown = _nothing
        self._weights.clear()
        self._own_specs.clear()
        self._unknown.clear()
        self.stale.clear()
        self._exported.clear()
        self._held = [], []

    def call_key(self, args: Any, kwargs: dict[str, Any] | None, *, always: bool = False) -> tuple[bool, Any]:
        """Return whether any tensor of a call has unknown values, and what the result of the call depends on.

        The latter is None for real tensors with known values, unless it is ``always`` wanted: their calls are seldom
        remembered. Equal numbers of different types must differ: ``x + 1`` and ``x + 1.0`` give different dtypes.
        """
        unknown = has_real = False
        parts: list[Any] = [_default_dtype(), self._flags]
        for arg in args:
            kind = type(arg)
            if kind is plain_tensor or kind is parameter:
                spec = self._weights.get(id(arg)) or self._spec_if_unknown(arg)
                parts.append(spec or arg)
                if spec:
                    unknown = True
                else:
                    has_real = True
            elif kind is int or arg is None:  # as most arguments are: a call of _add would cost more than the check
                parts.append(arg)
            elif self._add(arg, parts):
                unknown = True
        if kwargs:
            for name, arg in kwargs.items():
                parts.append(name)
                if self._add(arg, parts):
                    unknown = True
        if not has_real:
            return unknown, tuple(parts)
        return unknown, _with_specs(parts) if unknown or always else None

    def _spec_if_unknown(self, tensor: torch.Tensor) -> tuple[Any, ...] | None:
        """Return everything about a tensor but its values, or None if it has known ones."""
        try:
            address = address_of_storage(tensor)
        except RuntimeError:
            check_has_spec(tensor)  # it has no storage, and more than a shape
            raise
        if not (FIRST <= address < BEHIND or address in self._unknown or (not address and tensor.is_meta)):
            check_has_spec(tensor)
            return None
        dtype = tensor.dtype
        if self.has_bits or dtype in _COMPLEX:
            self.has_bits = True  # a view of a complex tensor may be negated
            return tensor.shape, tensor.stride(), tensor.storage_offset(), dtype, bits_of(tensor)
        return tensor.shape, tensor.stride(), tensor.storage_offset(), dtype

    def _add(self, arg: Any, parts: list[Any]) -> bool:
        """Add what a result depends on to ``parts``; return whether any tensor in ``arg`` has unknown values."""
        kind = type(arg)
        if kind in _SCALARS:
            parts.append((kind, arg))
        elif kind is list or kind is tuple:
            if not arg or type(arg[0]) is int:
                parts.append(tuple(arg))
                return False
            items: list[Any] = []
            unknown = [self._add(item, items) for item in arg]
            parts.append(tuple(items))
            return any(unknown)
        elif isinstance(arg, torch.Tensor):
            if kind not in PLAIN_TYPES:
                raise ShapeRunStop(f"tensors of type {kind.__name__} have operators of their own")
            parts.append(self.spec_of(arg))
            return not self.is_known(arg)
        elif isinstance(arg, torch.ScriptObject):
            raise ShapeRunStop("packed weights have shapes of their own")
        else:
            parts.append((kind, arg))
        return False

    def is_overwritten(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor has no values, or its memory holds something else than its values."""
        return tensor.is_meta or self.has_stale_data(tensor)

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Return whether the values of a tensor are determined."""
        address = address_of_storage(tensor)
        return not (FIRST <= address < BEHIND or address in self._unknown or tensor.is_meta)

    def spec_of(self, tensor: torch.Tensor) -> Spec:
        """Return the spec of a tensor."""
        return self._weights.get(id(tensor)) or spec_of(tensor)


def _with_specs(parts: list[Any]) -> tuple[Any, ...]:
    return tuple([spec_of(part) if isinstance(part, torch.Tensor) else part for part in parts])


def _has_memory(tensor: torch.Tensor) -> bool:
    return (
        type(tensor) in PLAIN_TYPES and tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_nested
    )


def _nothing(_: torch.Tensor) -> None:
    """Follow a run that has ended."""
