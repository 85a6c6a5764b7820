"""The tensors of one shape run: those that it makes, and what it does to those that existed before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn
from weakref import ref

import torch

from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.bypassing import ValueGuards
from pytest_modelbudget.counting.shape_run.known_values import KnownValues
from pytest_modelbudget.counting.shape_run.outcomes import build_result
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, Spec, new_shape_tensor
from pytest_modelbudget.counting.torch_private import storage_of


class RunTensors:
    """The shape tensors that a run made, the tensors whose values it knows, and the data that it has to put back."""

    def __init__(self, stop: Callable[[str], NoReturn]) -> None:
        self.storages = StorageSnapshot()
        self.guards = ValueGuards(self._note_read)
        self.known_values = KnownValues(self.guards.install)
        self._stop = stop
        self._created: list[ref[ShapeTensor]] = []

    def hold(self, tensors: Iterable[torch.Tensor]) -> None:
        """Remember the data of tensors that are no weights, to put it back."""
        self.storages.hold(self.known_values.without_weights(tensors))

    def put_data_back(self) -> bool:
        """Undo what the forward did to the data of tensors; return whether it exchanged that of a weight."""
        self.storages.restore()
        return self.known_values.put_weights_back()

    def new_tensor(self, spec: Spec) -> ShapeTensor:
        """Return a new shape tensor; :meth:`survivors` returns it as long as it lives."""
        tensor = new_shape_tensor(spec)
        self._created.append(ref(tensor))
        return tensor

    def views(self, base: torch.Tensor, result: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Return views of ``base``: what is written into them is written into the real tensor below, if there is one.

        ``result`` describes them, as in an :class:`Outcome`.
        """
        out = self.new_tensor(result) if type(result) is Spec else build_result(result, self.new_tensor, args, kwargs)
        storage = base._base_storage if type(base) is ShapeTensor else None if base.is_meta else storage_of(base)
        if storage is not None:
            for view in out if isinstance(out, (tuple, list)) else (out,):
                if type(view) is ShapeTensor and view is not base:
                    view._base_storage = storage
        return out

    def survivors(self) -> list[ShapeTensor]:
        """Return the shape tensors of this run that still live."""
        return [tensor for tensor in (created() for created in self._created) if tensor is not None]

    def release_tensors(self) -> None:
        """Let go of the tensors that existed before."""
        self.guards.remove()
        self.known_values.release()

    def _note_read(self, tensor: torch.Tensor, name: str, exports: bool) -> None:
        """End the run where the data of a tensor is read whose values are unknown."""
        if type(tensor) is ShapeTensor or self.known_values.has_stale_data(tensor):
            self._stop(f"Tensor.{name}()")
        if exports:
            self.known_values.note_exported(tensor)
