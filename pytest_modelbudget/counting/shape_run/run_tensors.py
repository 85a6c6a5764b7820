"""The tensors of one shape run: those that it makes, and what it does to those that existed before."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NoReturn
from weakref import ref

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.gradients import REGISTERING_HOOKS, GradientHooks
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.bypassing import ASSIGNED, WRITING, guard_values
from pytest_modelbudget.counting.shape_run.known_values import KnownValues
from pytest_modelbudget.counting.shape_run.leftovers import tensors_with_storages
from pytest_modelbudget.counting.shape_run.outcomes import build_result
from pytest_modelbudget.counting.shape_run.registrations import Registrations
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, Spec
from pytest_modelbudget.counting.torch_private import storage_of


class RunTensors:
    """The shape tensors that a run made, the tensors whose values it knows, and the data that it has to put back."""

    def __init__(self) -> None:
        self.storages = StorageSnapshot()
        self.known_values = KnownValues(self._note_stale)
        self.registrations = Registrations()
        self.weights_were_exchanged = False
        self._hooks = GradientHooks()
        self._created: list[ref[ShapeTensor]] = []
        self._stale: dict[int, StorageWeakRef] = {}  # storages that the run created, and wrote unknown values into

    def stop(self, reason: str) -> NoReturn:
        """End the run."""
        raise NotImplementedError

    def guard_values(self, changes: Changes) -> None:
        """From here on, end the run where stale data is read past the dispatcher."""
        guard_values(changes, self._note_access)

    def hold(self, tensors: Iterable[torch.Tensor]) -> None:
        """Remember the data of tensors that are no weights, to put it back."""
        self.storages.hold(self.known_values.without_weights(tensors))

    def put_data_back(self) -> None:
        """Undo what the forward did to the data of tensors."""
        self.storages.restore()
        self._hooks.restore()
        self.weights_were_exchanged = self.known_values.put_weights_back()

    def new_tensor(self, spec: Spec) -> ShapeTensor:
        """Return a new shape tensor; :meth:`survivors` returns it as long as it lives.

        This is ``new_shape_tensor`` without the call: nothing else is done so often.
        """
        tensor = spec.make()
        tensor._spec = spec
        tensor._base_storage = None
        self._created.append(ref(tensor))
        return tensor

    def views(self, base: torch.Tensor, result: Any, args: Any, kwargs: dict[str, Any] | None) -> Any:
        """Return views of ``base``: what is written into them is written into the real tensor below, if there is one.

        ``result`` describes them, as in an :class:`Outcome`.
        """
        one = type(result) is Spec
        out = self.new_tensor(result) if one else build_result(result, self.new_tensor, args, kwargs or {})
        if type(base) is not ShapeTensor:
            storage = None if base.is_meta else storage_of(base)
        elif (storage := base._base_storage) is None:
            return out
        for view in (out,) if one or isinstance(out, torch.Tensor) else out:
            if type(view) is ShapeTensor and view is not base:
                view._base_storage = storage
        return out

    def any_survives(self) -> bool:
        """Return whether :meth:`survivors` may return any tensor."""
        if [True for created in self._created if created() is not None]:
            return True
        return not all(storage.expired() for storage in self._stale.values())

    def survivors(self) -> list[torch.Tensor]:
        """Return what the run made and still lives: shape tensors, and real ones whose values are not known."""
        shapes = [tensor for tensor in (created() for created in self._created) if tensor is not None]
        alive = {identity for identity, storage in self._stale.items() if not storage.expired()}
        return [*shapes, *tensors_with_storages(alive)] if alive else [*shapes]

    def take_back(self) -> None:
        """Take what has no data out of the modules that existed before the model was built."""
        self.registrations.take_back()

    def bytes_of_weights(self) -> int:
        """Return what the parameters among the shape tensors that still live would take."""
        shapes = [tensor for tensor in (created() for created in self._created) if tensor is not None]
        weights = [tensor._spec for tensor in shapes if isinstance(tensor, torch.nn.Parameter)]
        return sum(prod(spec.shape) * spec.dtype.itemsize for spec in weights)

    def release_tensors(self) -> None:
        """Let go of the tensors that existed before."""
        is_unknown = self.known_values.is_unknown
        self._stale = {identity: storage for identity, storage in self._stale.items() if is_unknown(identity)}
        self.known_values.release()

    def _note_stale(self, storage: int) -> None:
        created = self.storages.created(storage)
        if created is not None:
            self._stale[storage] = created

    def _note_access(self, tensor: torch.Tensor, name: str, exports: bool) -> None:
        """End the run where data is written past the dispatcher, or read whose values are unknown."""
        if name == ASSIGNED:
            for one in self.known_values.without_weights([tensor]):
                self.storages.note_exchange(one)
            return
        if name in REGISTERING_HOOKS:
            if type(tensor) is not ShapeTensor:
                self._hooks.save(tensor)
            return
        if type(tensor) is ShapeTensor or name in WRITING or self.known_values.has_stale_data(tensor):
            self.stop(f"Tensor.{name}()")
        if exports:
            self.storages.save_before_write(tensor)
            self.known_values.note_exported(tensor)
