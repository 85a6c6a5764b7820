"""Restore the data of tensors that a run writes into."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.plain_tensors import PLAIN


class Storages:
    """The data of tensors that existed before the run, copied just before the run first writes into them."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.Tensor, torch.Tensor, tuple[Any, ...]]] = {}
        self._born: set[int] = set()

    def born(self, tensor: torch.Tensor) -> None:
        """Note a tensor that the run itself made: it needs no copy."""
        self._born.add(tensor.untyped_storage()._cdata)

    def keep(self, tensor: torch.Tensor) -> None:
        """Copy what ``tensor`` holds, unless the run made it or it was copied before."""
        if tensor.layout is not torch.strided or type(tensor) not in PLAIN:
            self._keep_whole(tensor)
            return
        storage = tensor.untyped_storage()
        if storage._cdata in self._born or storage._cdata in self._saved:
            return
        whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
        geometry = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        self._saved[storage._cdata] = (tensor.detach(), whole.clone(), geometry)

    def _keep_whole(self, tensor: torch.Tensor) -> None:
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
