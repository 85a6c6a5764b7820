"""Measure by a shape run: a forward pass on tensors that have shapes but no data."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Any

import torch

from pytest_modelbudget.counting.asking import input_tensors
from pytest_modelbudget.counting.asking.task import Task
from pytest_modelbudget.counting.errors import ShapeRunStop, is_interrupt
from pytest_modelbudget.counting.memory.lifetimes import Lifetimes
from pytest_modelbudget.counting.modules.following import attribute_calls
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.totals import measurement, weights_only
from pytest_modelbudget.counting.progress import announce
from pytest_modelbudget.counting.restoring.attributes import AttributeSnapshot, own_classes
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.gradients import set_gradients_aside
from pytest_modelbudget.counting.restoring.kernels import unfuse_kernels
from pytest_modelbudget.counting.restoring.process_state import keep_grad_mode, keep_process_state
from pytest_modelbudget.counting.shape_run.building import build_without_weights
from pytest_modelbudget.counting.shape_run.composites import can_remember_composites
from pytest_modelbudget.counting.shape_run.elsewhere import replace_weights_elsewhere
from pytest_modelbudget.counting.shape_run.mode import ShapeRun
from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved
from pytest_modelbudget.counting.shape_run.survivors import check_none_survives, clear_caches
from pytest_modelbudget.counting.shape_run.tensors import without_data
from pytest_modelbudget.counting.signals import handlers_to_put_back
from pytest_modelbudget.counting.threads import follow_threads
from pytest_modelbudget.counting.torch_private import forward_hooks_of, hooks_around, own_buffers, own_parameters
from pytest_modelbudget.counting.user_code import ShapeRunFailure
from pytest_modelbudget.factories import uncached
from pytest_modelbudget.measurement import Measurement


def measure_by_shapes(task: Task, changes: Changes) -> Measurement | ShapeRunFailure:
    """Return the measurement of a shape run, or why there is none; no tensor that it made outlives it.

    The forward runs without autograd, unless that is asked for or the forward itself turns out to need it.
    """
    __tracebackhide__ = True
    if can_remember_composites() and not task.backward:
        with changes:
            keep_process_state(changes)
            outcome = _one_run(task, changes, autograd=False)
        if isinstance(outcome, Measurement):
            if not outcome.unknown:
                return outcome  # autograd may know what an operator without a formula consists of
        elif not outcome.needs_autograd:
            return outcome
        else:
            outcome.forget()
    return measure_with_autograd(task, changes)


def measure_with_autograd(task: Task, changes: Changes) -> Measurement | ShapeRunFailure:
    """Return the measurement of a shape run with autograd, or why there is none."""
    __tracebackhide__ = True
    with changes:
        keep_process_state(changes)
        return _one_run(task, changes, autograd=True)


def _one_run(task: Task, changes: Changes, *, autograd: bool) -> Measurement | ShapeRunFailure:
    """Make one shape run.

    A failure is kept without the frames of the run. Only the model's exceptions and the run's own end become one: a
    time limit or an interrupt passes through.
    """
    __tracebackhide__ = True
    run = ShapeRun()
    interrupt: BaseException | None = None
    failure: ShapeRunFailure | None = None
    try:
        with changes:
            changes.undo_by(torch.clear_autocast_cache)
            changes.undo_by(handlers_to_put_back())
            run.guard_values(changes)
            result = _run(task, run, changes, autograd)
        # What was counted may belong to other weights than the model has now.
        if run.weights_were_exchanged:
            raise ShapeRunStop("data was assigned to a weight")
    except BaseException as error:
        if is_interrupt(error) and not run.has_led_to(error):
            clear_caches(run.survivors())
            raise
        if task.is_factory and task.weight_bytes is None:
            task.weight_bytes = run.bytes_of_weights()  # of what was built until it failed: a real build takes as much
        interrupt = run.interrupt  # which the model caught
        failure = ShapeRunFailure(error, run.stopped_by, partial(check_none_survives, run))
    finally:
        run.release()
    if interrupt is not None:
        raise interrupt
    if failure is not None:
        return failure
    check_none_survives(run)
    return result


def _run(task: Task, run: ShapeRun, changes: Changes, autograd: bool) -> Measurement:
    __tracebackhide__ = True
    if torch.is_inference_mode_enabled():
        changes.enter(torch.inference_mode(False))
    keep_grad_mode(changes)
    torch.set_grad_enabled(task.backward)
    unfuse_kernels(changes, task.backward)
    built = _built(task, run, changes) if task.is_factory else task.model
    index = _on_one_device(task, run, changes, ModuleIndex(built))
    run.check_not_stopped("the factory")
    if index.has_lazy_tensors or index.has_scripted_modules():
        raise ShapeRunStop("lazy and scripted modules need a real run")
    task.settle_inputs(index)
    if task.saves:
        with run:  # hooks of a state_dict may compute
            task.note_saved(built)
    changes.subject = task.request(built).name
    task.weight_bytes = sum(node.weight_bytes for node in index.nodes)
    return (
        weights_only(index, task.request(built))
        if task.inputs is None
        else _forward(task, run, changes, index, autograd)
    )


def _forward(task: Task, run: ShapeRun, changes: Changes, index: ModuleIndex, autograd: bool) -> Measurement:
    """Run the model, whose inputs are known, and put back what that changes."""
    __tracebackhide__ = True
    assert task.inputs is not None
    built = index.nodes[0].module
    roots = _existed_before(index) if task.is_factory else [built]
    roots += hooks_around(index.parameters, task.backward)
    attributes = AttributeSnapshot((*roots, task.inputs), own_classes(index.classes))
    _check_shapes_suffice(task, attributes)
    ledger = Ledger(index)
    # Whole-number and boolean buffers (positions, masks) keep their values: control flow reads them.
    floats = [buffer for buffer in index.buffers if buffer.is_floating_point() or buffer.is_complex()]
    weights = [*index.parameters, *floats]
    run.begin_forward([weight for weight in weights if not is_reserved(weight)] if task.is_factory else weights, ledger)
    changes.undo_by(run.put_data_back)
    changes.undo_by(attributes.restore)
    ignore = run.known_values.ignore_values_of
    positional, keyword = input_tensors.map_tensors(
        lambda x: without_data(x, run.new_tensor, lambda array: ignore([array])), task.inputs
    )
    run.hold(attributes.tensors)
    if task.memory and not autograd:
        run.lifetimes = Lifetimes(index, input_tensors.tensors_of((positional, keyword)), ledger)
    with changes:
        _follow(task, run, changes, ledger, attributes, autograd)
        announce("a run on shapes")
        task.forward(changes, built, positional, keyword, ledger, run.lifetimes)
    run.check_not_stopped("the model")
    run.check_memory_untouched()
    same = not task.is_factory and not attributes.have_changed()
    index = ledger.settle(holds_the_same=same)
    return measurement(index, ledger, task.request(built), "shape", task.mode, run.lifetimes)


def _follow(
    task: Task, run: ShapeRun, changes: Changes, ledger: Ledger, attributes: AttributeSnapshot, autograd: bool
) -> None:
    """Put in place what counts."""
    held = [*ledger.index.parameters, *attributes.tensors]
    set_gradients_aside(changes, [tensor for tensor in held if not is_reserved(tensor)] if task.is_factory else held)
    if not autograd:
        run.below_autograd.enter(changes)
        run.refuse_modes(changes)
    changes.enter_mode(run)
    attribute_calls(changes, ledger, task.backward)
    follow_threads(changes, run.refuse_threads, run.stop)


def _built(task: Task, run: ShapeRun, changes: Changes) -> torch.nn.Module:
    """Return the model that a factory builds, without its weights."""
    __tracebackhide__ = True
    factory = uncached(task.model)
    with changes:
        run.registrations.note(changes)
        build_without_weights(changes, run.stop)
        changes.enter_mode(run)
        built = task.build(factory, "building the model without its weights")
    with run:
        task.cast(changes, built)
    return built


_device_of = attrgetter("device")
_OF_EVERY_MODULE = frozenset(torch.nn.Module().__dict__)
_PLAIN_VALUES = frozenset((bool, float, int, str, torch.Size, type(None)))


def _existed_before(index: ModuleIndex) -> list[Any]:
    """Return what a model that a factory has built may have in common with others, or may have looked at by its code.

    Modules existed before if there is no shape tensor in them or below; those without weights may have. So may the
    functions and helpers that modules hold.
    """
    found: list[Any] = []
    is_new = [False] * len(index.nodes)
    of_torch = {kind for kind in index.classes if kind.__module__.startswith("torch.")}
    for position in reversed(range(len(index.nodes))):  # children come after their parents
        node = index.nodes[position]
        module = node.module
        is_new[position] = _has_shapes(module) or any(map(is_new.__getitem__, node.children))
        if not is_new[position]:
            found.append(module)
        elif type(module) not in of_torch:
            found += [
                value
                for name, value in module.__dict__.items()
                if name not in _OF_EVERY_MODULE and type(value) not in _PLAIN_VALUES
            ]
        hooks = forward_hooks_of(module)
        if hooks[0] or hooks[1]:
            found += [*hooks, module]  # what hooks keep in it may be anybody's
    return [found]


def _has_shapes(module: torch.nn.Module) -> bool:
    """Return whether a module itself holds a parameter or buffer that is a shape tensor."""
    for held in (own_parameters(module), own_buffers(module)):
        for tensor in held.values() if held else ():
            if tensor is not None and is_reserved(tensor):
                return True
    return False


def _on_one_device(task: Task, run: ShapeRun, changes: Changes, index: ModuleIndex) -> ModuleIndex:
    """Return the index of a model whose weights are all on the CPU; end the run where inputs are on another device.

    Which operators may mix devices, kernels know.
    """
    devices = set(map(_device_of, (*index.parameters, *index.buffers)))
    given = () if task.only_sizes else input_tensors.tensors_of(task.inputs)
    if len(devices.union(map(_device_of, given)) - {torch.device("meta")}) > 1:
        raise ShapeRunStop("the weights and the inputs are on several devices")
    if devices <= {torch.device("cpu")}:
        return index
    replace_weights_elsewhere(changes, index, run.new_tensor)
    return ModuleIndex(index.nodes[0].module)


def _check_shapes_suffice(task: Task, attributes: AttributeSnapshot) -> None:
    """End the run where there is what only one run could read."""
    iterators = attributes.held_iterators()
    if iterators and not task.runs_once:
        task.runs_once = True
        raise ShapeRunStop(f"a {type(iterators[0]).__name__} can be read only once, and is left to a real run")
