"""Restore the data of tensors: what a run writes, resizes and exchanges."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter, is_
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import (
    data_of,
    keep_version,
    set_data_of,
    storage_identity,
    storage_of,
)

shape_of = attrgetter("shape")

_Held = tuple[list[torch.Tensor], list[torch.Tensor], list[torch.UntypedStorage], list[int]]
"""Tensors, aliases that keep their metadata, their storages, and the sizes of these."""


class StorageSnapshot:
    """The data of tensors that existed before the run, copied just before the run first writes into them.

    Tensors that are held from the start also get back their size, strides, dtype and storage, if the run has changed
    them past the dispatcher, by assigning ``.data`` or by resizing a storage.
    """

    def __init__(self) -> None:
        self._copies: dict[int, tuple[torch.UntypedStorage, torch.Tensor]] = {}
        self._aliases: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._versions: dict[int, Any] = {}
        self._without_storage: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._created: dict[int, StorageWeakRef] = {}
        self._held: _Held = [], [], [], []

    def hold(self, tensors: Iterable[torch.Tensor]) -> None:
        """Remember the data of tensors from the start."""
        held = [tensor for tensor in tensors if _has_storage(tensor)]
        storages = list(map(storage_of, held))
        # At once, for an interrupt may come between any two steps.
        self._held = held, list(map(data_of, held)), storages, list(map(torch.UntypedStorage.nbytes, storages))

    def note_created(self, tensor: torch.Tensor, own: Iterable[torch.Tensor]) -> None:
        """Note a tensor that the run itself created from its ``own`` arguments: its storage needs no copy.

        A weak reference keeps the identity of a storage from being another's later, and not its data.
        """
        if not _has_storage(tensor):
            return
        storage = storage_of(tensor)
        for tensor in own:
            if _has_storage(tensor) and storage_of(tensor) is storage:
                return  # a view, whatever the operator says
        self._created[storage_identity(storage)] = StorageWeakRef(storage)

    def created(self, storage: int) -> StorageWeakRef | None:
        """Return the weak reference of a storage, given by its identity, if the run created it."""
        return self._created.get(storage)

    def save_before_write(self, tensor: torch.Tensor) -> None:
        """Copy the storage of ``tensor``, unless the run created it or it was copied before."""
        if not _has_storage(tensor):
            if id(tensor) not in self._without_storage and (tensor.layout is not torch.strided or tensor.is_nested):
                self._without_storage[id(tensor)] = (tensor, tensor.detach().clone())
            return
        storage = storage_of(tensor)
        identity = storage_identity(storage)
        if identity in self._created and storage.resizable():  # what is not may be an array's memory
            return
        self.note_exchange(tensor)
        if identity not in self._copies:
            self._copies[identity] = (storage, _bytes_of(storage).clone())

    def note_exchange(self, tensor: torch.Tensor) -> None:
        """Remember which data a tensor that existed before has before it gets other data, as by assigning ``.data``."""
        self.note_write(tensor)
        if id(tensor) in self._aliases or not _has_storage(tensor):
            return
        if storage_identity(storage_of(tensor)) not in self._created:
            self._aliases[id(tensor)] = (tensor, data_of(tensor))

    def note_write(self, tensor: torch.Tensor) -> None:
        """Remember the version of a tensor that existed before, when it is to be written into.

        A graph of the user's that has saved it would be refused with another one, although the data is as it was.
        """
        if id(tensor) in self._versions or not _has_storage(tensor) or tensor.is_inference():
            return
        if storage_identity(storage_of(tensor)) not in self._created:
            self._versions[id(tensor)] = keep_version(tensor)

    def restore(self) -> None:
        """Write the copies back, and give every tensor the storage and the metadata that it had."""
        with torch.no_grad():
            for storage, copy in reversed(self._copies.values()):  # two may share their memory, as through dlpack
                if storage.nbytes() != copy.numel():
                    storage.resize_(copy.numel())
                if not (now := _bytes_of(storage)).equal(copy):  # what is as before may be memory to read only
                    now.copy_(copy)
            for tensor, alias in self._aliases.values():
                if not _are_one(tensor, alias):
                    set_data_of(tensor, alias)
            for tensor, copy in self._without_storage.values():
                tensor.copy_(copy)
            self._restore_held()
        for version in reversed(self._versions.values()):  # views share the one of their base, which was lowest first
            version.__exit__()
        for saved in (self._copies, self._aliases, self._versions, self._without_storage, self._created):
            saved.clear()

    def _restore_held(self) -> None:
        held, own_data, own_storages, own_sizes = self._held
        for storage, size in zip(own_storages, own_sizes, strict=True):
            if storage.nbytes() != size:
                storage.resize_(size)
        same = map(is_, map(storage_of, held), own_storages)
        if not all(same) or list(map(shape_of, held)) != list(map(shape_of, own_data)):
            for tensor, own in zip(held, own_data, strict=True):
                if not _are_one(tensor, own):
                    set_data_of(tensor, own)
        self._held = [], [], [], []


def _has_storage(tensor: torch.Tensor) -> bool:
    return type(tensor) in PLAIN_TYPES and tensor.layout is torch.strided and not tensor.is_nested


def _bytes_of(storage: torch.UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _are_one(tensor: torch.Tensor, alias: torch.Tensor) -> bool:
    """Return whether two tensors have the same metadata and the same storage."""
    return storage_identity(storage_of(tensor)) == storage_identity(storage_of(alias)) and (
        _metadata_of(tensor) == _metadata_of(alias)
    )


def _metadata_of(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype
