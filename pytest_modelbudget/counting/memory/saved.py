"""What autograd keeps between forward and backward: the distinct storages of the tensors that it saves."""

from __future__ import annotations

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.torch_private import storage_identity, storage_of


class SavedTensors(torch.autograd.graph.saved_tensors_hooks):
    """Notes each tensor that autograd saves while it is entered. A checkpoint saves by hooks of its own: nothing here.

    Weak references tell which of them are still kept when the forward has ended, and keep torch from giving the
    identity of a storage to another one.
    """

    def __init__(self, index: ModuleIndex) -> None:
        super().__init__(self._note, lambda saved: saved)
        held = (*index.parameters, *index.buffers)
        self._weights = {storage_identity(storage_of(one)) for one in held if one.layout is torch.strided}
        self._saved: dict[int, tuple[StorageWeakRef, int]] = {}

    def _note(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.layout is torch.strided:
            storage = storage_of(tensor)
            self._saved[storage_identity(storage)] = StorageWeakRef(storage), storage.nbytes()
        return tensor

    def nbytes(self) -> int:
        """Return the bytes that are kept now, without weights and buffers."""
        kept = {key: nbytes for key, (storage, nbytes) in self._saved.items() if not storage.expired()}
        return sum(nbytes for key, nbytes in kept.items() if key not in self._weights)
