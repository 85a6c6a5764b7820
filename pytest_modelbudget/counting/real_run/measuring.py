"""Measure by a real run: a forward pass on real data, counted as it runs."""

from __future__ import annotations

import torch
from torch import nn

from pytest_modelbudget.counting.asking import input_tensors, inputs
from pytest_modelbudget.counting.asking.task import Task
from pytest_modelbudget.counting.memory.lifetimes import Lifetimes
from pytest_modelbudget.counting.modules.following import attribute_calls
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.totals import Request, measurement, weights_only
from pytest_modelbudget.counting.progress import announce
from pytest_modelbudget.counting.real_run.collectives import RankRun
from pytest_modelbudget.counting.real_run.following_memory import MemoryRun
from pytest_modelbudget.counting.real_run.memory import free_memory
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.restoring.attributes import AttributeSnapshot, own_classes
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.gradients import GradientHooks, set_gradients_aside
from pytest_modelbudget.counting.restoring.kernels import unfuse_kernels
from pytest_modelbudget.counting.restoring.process_state import keep_grad_mode, keep_process_state
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.bypassing import note_exports
from pytest_modelbudget.counting.shape_run.composites import can_remember_composites
from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved
from pytest_modelbudget.counting.threads import follow_threads
from pytest_modelbudget.counting.torch_private import hooks_around
from pytest_modelbudget.counting.user_code import asks_for_gradients
from pytest_modelbudget.measurement import Measurement, MeasurementError


def obstacle_to_real_run(task: Task) -> str | None:
    """Return why no real run is possible, or None."""
    if not task.is_factory and any(_has_no_data(weight) for weight in task.model.parameters()):
        return "the model has no weights (they are on the meta device); pass an instance that has them"
    if (
        not task.only_sizes
        and task.inputs is not None
        and any(_has_no_data(item) for item in input_tensors.tensors_of(task.inputs))
    ):
        return "the inputs have no values (they are on the meta device); pass inputs with values"
    free, needed = free_memory(), task.weight_bytes
    if task.is_factory and needed and needed > free:
        return f"its weights take {needed:,} bytes and only {free:,} are free"
    return None


def measure_for_real(task: Task, changes: Changes, reason: str) -> Measurement:
    """Return the measurement of a real run; ``reason`` says, for whoever waits, why there is one."""
    __tracebackhide__ = True
    with changes:
        keep_process_state(changes)
        if torch.is_inference_mode_enabled():
            changes.enter(torch.inference_mode(False))
        built = task.model
        if task.is_factory:
            # So that a factory with random choices builds the same model in every run.
            torch.manual_seed(0)
            built = task.build(task.model, f"building the model with its weights{reason}")
            task.cast(changes, built)
        announce(f"a real run{reason}")
        unfuse_kernels(changes, task.backward)  # not while it is built: a factory may export, which needs all of torch
        if task.backward or task.runs_once or not torch.is_grad_enabled():
            return _run(task, changes, built)
        try:
            with changes:
                keep_process_state(changes)
                torch.set_grad_enabled(False)
                return _run(task, changes, built)
        except RuntimeError as error:
            if task.runs_once or not asks_for_gradients(error):
                raise
        return _run(task, changes, built)  # the forward itself asks for gradients, as force fields do


def _run(task: Task, changes: Changes, built: nn.Module) -> Measurement:
    __tracebackhide__ = True
    index = ModuleIndex(built)
    task.settle_inputs(index)
    if task.saves and not index.has_lazy_tensors:
        task.note_saved(built)
    request = task.request(built)
    changes.subject = request.name
    if task.inputs is None:
        _check_lazy(index, request, "need inputs to know their shapes")
        return weights_only(index, request)
    call_inputs = inputs.with_data(task.inputs, inputs.device_of_weights(index)) if task.only_sizes else task.inputs
    if task.backward:
        call_inputs = input_tensors.detached(call_inputs)
    ledger, storages, gradient_hooks = Ledger(index), StorageSnapshot(), GradientHooks()
    lifetimes = _lifetimes(task, index, ledger, call_inputs)
    run = _mode(task, storages, lifetimes)
    run.ledger = ledger
    hooks = hooks_around(index.parameters, task.backward)
    attributes = AttributeSnapshot((built, task.inputs, *hooks), own_classes(index.classes))
    task.runs_once = bool(attributes.held_iterators())
    with changes:
        for undo in (gradient_hooks.restore, storages.restore, attributes.restore):
            changes.undo_by(undo)
        index.replace_lazy_tensors()
        index.count_tensors()
        held = [*index.parameters, *attributes.tensors, *input_tensors.tensors_of(call_inputs)]
        storages.hold((*held, *index.buffers))
        with changes:
            keep_grad_mode(changes)
            torch.set_grad_enabled(task.backward or torch.is_grad_enabled())
            set_gradients_aside(changes, held)
            note_exports(changes, storages, gradient_hooks)
            if isinstance(run, MemoryRun):
                run.below_autograd.enter(changes)
            changes.enter_mode(run)
            attribute_calls(changes, ledger, task.backward)
            follow_threads(changes, run.in_other_threads, ledger.charge_unseen)
            task.forward(changes, built, call_inputs[0], call_inputs[1], ledger, lifetimes)
        ledger.join()
        if index.has_lazy_tensors:
            index.count_tensors()
        ledger.settle(holds_the_same=task.ranks is not None)  # what a shard gathers is not its own
        _check_lazy(ledger.index, request, "the forward pass did not reach, so their shapes are not known")
        return measurement(ledger.index, ledger, request, "real", task.mode, lifetimes)


def _lifetimes(task: Task, index: ModuleIndex, ledger: Ledger, given: input_tensors.Inputs) -> Lifetimes | None:
    """Return what follows the memory of a run, where operators are whole, and all weights are known before it."""
    if not task.memory or index.has_lazy_tensors or torch.is_grad_enabled() or task.ranks is not None:
        return None
    return Lifetimes(index, input_tensors.tensors_of(given), ledger) if can_remember_composites() else None


def _mode(task: Task, storages: StorageSnapshot, lifetimes: Lifetimes | None) -> RealRun:
    if lifetimes is not None:
        return MemoryRun(storages, lifetimes)
    return RealRun(storages) if task.ranks is None else RankRun(storages)


def _check_lazy(index: ModuleIndex, request: Request, which: str) -> None:
    if index.has_lazy_tensors:
        raise MeasurementError(f"{request.name} has lazy modules, which {which}")


def _has_no_data(tensor: torch.Tensor) -> bool:
    return tensor.is_meta or is_reserved(tensor)
