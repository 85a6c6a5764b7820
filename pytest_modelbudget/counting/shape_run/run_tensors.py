"""The tensors of one shape run: those that it makes, and what it does to those that existed before."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.gradients import REGISTERING_HOOKS, GradientHooks
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.bypassing import ASSIGNED, SWAPPED, WRITING, Stop, guard_values
from pytest_modelbudget.counting.shape_run.known_values import KnownValues
from pytest_modelbudget.counting.shape_run.registrations import Registrations
from pytest_modelbudget.counting.shape_run.reserved_memory import RunMemory, is_reserved, tensors_at
from pytest_modelbudget.counting.shape_run.tensors import CONJUGATED, NEGATED, Spec
from pytest_modelbudget.counting.torch_private import (
    address_of_storage,
    negated_view,
    refuse_access,
    storage_identity,
    storage_of,
)

as_strided, empty_strided, frombuffer = torch.as_strided, torch.empty_strided, torch.frombuffer


class RunTensors:
    """The tensors without values that a run made, those whose values it knows, and the data that it has to put back.

    ``stop`` ends the run.
    """

    def __init__(self, stop: Stop) -> None:
        self.storages = StorageSnapshot()
        self.known_values = KnownValues(self._note_stale)
        self.registrations = Registrations()
        self.weights_were_exchanged = False
        self._stop = stop
        self._hooks = GradientHooks()
        self._memory = RunMemory()
        self._stale: dict[int, StorageWeakRef] = {}  # what the run created, and wrote unknown values into, by address

    def guard_values(self, changes: Changes) -> None:
        """From here on, end the run where data that is not that of the values is read past the dispatcher."""
        guard_values(changes, self._note_access)

    def hold(self, tensors: Iterable[torch.Tensor]) -> None:
        """Remember the data of tensors that are no weights, to put it back."""
        self.storages.hold(self.known_values.without_weights(tensors))

    def put_data_back(self) -> None:
        """Undo what the forward did to the data of tensors."""
        self.storages.restore()
        self._hooks.restore()
        self.weights_were_exchanged = self.known_values.put_weights_back()

    def new_tensor(self, spec: Spec) -> torch.Tensor:
        """Return a new tensor without values; torch itself refuses to read or write its memory."""
        # frombuffer refuses to make an empty tensor.
        if not spec.span:
            return empty_strided(spec.shape, spec.stride, dtype=spec.dtype)  # it has no values that could be unknown
        out = frombuffer(self._memory.buffer, dtype=spec.dtype, count=spec.span)
        if spec.layout is not None:
            out = as_strided(out, *spec.layout)
        if spec.bits:
            self.known_values.has_bits = True
            out = torch.conj(out) if spec.bits & CONJUGATED else out
            out = negated_view(out) if spec.bits & NEGATED else out
        refuse_access(out)
        return out

    def check_memory_untouched(self) -> None:
        """End the run if memory that has no values was read or written after all, past every guard."""
        if self._memory.was_touched():
            self._stop("memory that has no values")

    def any_survives(self) -> bool:
        """Return whether any tensor of the run still lives, whoever holds it."""
        return self._memory.has_living_storages() or not all(storage.expired() for storage in self._stale.values())

    def survivors(self) -> list[torch.Tensor]:
        """Return the tensors of the run that Python objects still hold and whose data is not what their values are."""
        return tensors_at(self._living_addresses()) if self.any_survives() else []

    def _living_addresses(self) -> set[int]:
        return {self._memory.address} | {address for address, storage in self._stale.items() if not storage.expired()}

    def take_back(self) -> None:
        """Take what has no data out of the modules that existed before the model was built."""
        self.registrations.take_back()

    def bytes_of_weights(self) -> int:
        """Return what the parameters among the tensors that still live would take."""
        weights = [tensor for tensor in self.survivors() if isinstance(tensor, torch.nn.Parameter)]
        return sum(tensor.numel() * tensor.element_size() for tensor in weights)

    def release_tensors(self) -> None:
        """Let go of the tensors that existed before."""
        stale = self.known_values.stale
        self._stale = {address: storage for address, storage in self._stale.items() if address in stale}
        self.known_values.release()

    def _note_stale(self, tensor: torch.Tensor) -> None:
        created = self.storages.created(storage_identity(storage_of(tensor)))
        if created is not None:
            self._stale[address_of_storage(tensor)] = created

    def _note_access(self, tensor: torch.Tensor, name: str, exports: bool) -> None:
        """End the run where data is written past the dispatcher, or read that is not that of the values."""
        if name == ASSIGNED:
            self.known_values.forget_spec(tensor)
            for changed in () if is_reserved(tensor) else self.known_values.without_weights([tensor]):
                self.storages.note_exchange(changed)
        elif name in REGISTERING_HOOKS:
            if not is_reserved(tensor):
                self._hooks.save(tensor)
        elif name in (*WRITING, SWAPPED) or self.known_values.has_stale_data(tensor):
            self._stop(f"Tensor.{name}()")
        elif exports:
            self.storages.save_before_write(tensor)
            self.known_values.note_exported(tensor)
