"""Restore the data of tensors that a run writes into."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import storage_identity


class StorageSnapshot:
    """The data of tensors that existed before the run, copied just before the run first writes into them."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.Tensor, torch.Tensor, tuple[Any, ...]]] = {}
        self._created: set[int] = set()

    def note_created(self, tensor: torch.Tensor) -> None:
        """Note a tensor that the run itself created: it needs no copy."""
        self._created.add(storage_identity(tensor.untyped_storage()))

    def save_before_write(self, tensor: torch.Tensor) -> None:
        """Copy the storage of ``tensor``, unless the run created it or it was copied before."""
        if tensor.layout is not torch.strided or type(tensor) not in PLAIN_TYPES:
            self._save_without_storage(tensor)
            return
        storage = tensor.untyped_storage()
        identity = storage_identity(storage)
        if identity in self._created or identity in self._saved:
            return
        whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
        geometry = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        self._saved[identity] = (tensor.detach(), whole.clone(), geometry)

    def _save_without_storage(self, tensor: torch.Tensor) -> None:
        if id(tensor) not in self._saved and tensor.layout is not torch.strided:
            self._saved[id(tensor)] = (tensor, tensor.detach().clone(), ())

    def restore(self) -> None:
        """Write the copies back."""
        with torch.no_grad():
            for tensor, copy, geometry in self._saved.values():
                if not geometry:
                    tensor.copy_(copy)
                    continue
                storage = tensor.untyped_storage()
                if storage.nbytes() != copy.numel():
                    storage.resize_(copy.numel())
                torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage).copy_(copy)
        self._saved.clear()
