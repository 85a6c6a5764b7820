"""Measure by a shape run: a forward pass on tensors that have shapes but no data."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import Any

import torch

from pytest_modelbudget.counting import input_tensors, inputs
from pytest_modelbudget.counting.errors import ShapeRunStop, is_interrupt, put_back
from pytest_modelbudget.counting.model_code import needs_real_tensors
from pytest_modelbudget.counting.modules.calls import attribute_calls
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.outputs import Shapes, shapes_of_output
from pytest_modelbudget.counting.modules.results import measurement, weights_only
from pytest_modelbudget.counting.origins import ShapeRunFailure
from pytest_modelbudget.counting.progress import announce
from pytest_modelbudget.counting.references import refers_to_a_module
from pytest_modelbudget.counting.restoring.attributes import AttributeSnapshot, own_classes
from pytest_modelbudget.counting.restoring.gradients import restored_gradients
from pytest_modelbudget.counting.restoring.kernels import unfused_kernels
from pytest_modelbudget.counting.restoring.process_state import restored_process_state
from pytest_modelbudget.counting.shape_run.building import weightless
from pytest_modelbudget.counting.shape_run.composites import can_remember_composites
from pytest_modelbudget.counting.shape_run.leftovers import check_none_survives, clear_caches
from pytest_modelbudget.counting.shape_run.mode import ShapeRun
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, without_data
from pytest_modelbudget.counting.signals import restored_handlers
from pytest_modelbudget.counting.task import Task
from pytest_modelbudget.counting.threads import followed_threads
from pytest_modelbudget.counting.torch_private import forward_hooks_of, hooks_around, own_buffers, own_parameters
from pytest_modelbudget.measurement import Measurement


def measure_by_shapes(task: Task) -> Measurement | ShapeRunFailure:
    """Return the measurement of a shape run, or why there is none; no tensor that it made outlives it.

    The forward runs without autograd, unless that is asked for or the forward itself turns out to need it.
    """
    __tracebackhide__ = True
    if can_remember_composites() and not task.backward:
        with restored_process_state():
            outcome = _one_run(task, autograd=False)
        if isinstance(outcome, Measurement):
            if not outcome.unknown:
                return outcome  # autograd may know what an operator without a formula consists of
        elif not outcome.needs_autograd:
            return outcome
        else:
            outcome.forget()
    return measure_with_autograd(task)


def measure_with_autograd(task: Task) -> Measurement | ShapeRunFailure:
    """Return the measurement of a shape run with autograd, or why there is none."""
    __tracebackhide__ = True
    with restored_process_state():
        return _one_run(task, autograd=True)


def _one_run(task: Task, *, autograd: bool) -> Measurement | ShapeRunFailure:
    """Make one shape run.

    A failure is kept without the frames of the run. Only the model's exceptions and the run's own end become one: a
    time limit or an interrupt passes through.
    """
    __tracebackhide__ = True
    run = ShapeRun()
    interrupt: BaseException | None = None
    failure: ShapeRunFailure | None = None
    try:
        run.guard_values()
        with restored_handlers():
            result = _run(task, run, nullcontext() if autograd else run.below_autograd)
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
        torch.clear_autocast_cache()
    if interrupt is not None:
        raise interrupt
    if failure is not None:
        return failure
    check_none_survives(run)
    return result


def _run(task: Task, run: ShapeRun, autograd: AbstractContextManager[Any]) -> Measurement:
    __tracebackhide__ = True
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(task.backward))
        stack.enter_context(unfused_kernels(task.backward))
        built = _built(task, run) if task.is_factory else task.model
        index = ModuleIndex(built)
        run.check_not_stopped("the factory")
        if index.has_lazy_tensors or index.has_scripted_modules():
            raise ShapeRunStop("lazy and scripted modules need a real run")
        task.settle_inputs(index)
        request = task.request(built)
        task.weight_bytes = sum(node.weight_bytes for node in index.nodes)
        if task.inputs is None:
            return weights_only(index, request)
        roots = _existed_before(index) if task.is_factory else [built]
        roots += hooks_around(index.parameters, task.backward)
        attributes = AttributeSnapshot((*roots, task.inputs), own_classes(index.classes))
        _check_shapes_suffice(task, index, attributes)
        ledger = Ledger(index)
        floats = [buffer for buffer in index.buffers if buffer.is_floating_point() or buffer.is_complex()]
        run.begin_forward([*index.parameters, *floats], ledger)
        device = inputs.device_of_weights(index)
        positional, keyword = input_tensors.map_tensors(lambda x: without_data(x, run.new_tensor, device), task.inputs)
        try:
            run.hold(attributes.tensors)
            held = [tensor for tensor in (*index.parameters, *attributes.tensors) if type(tensor) is not ShapeTensor]
            calls = attribute_calls(ledger, task.backward, _shapes_of_output)
            threads = followed_threads(run.refuse_threads, run.stop)
            with restored_gradients(held), autograd, run, calls, threads:
                announce("a run on shapes")
                task.forward(built, positional, keyword, ledger)
            run.check_not_stopped("the model")
            same = not task.is_factory and not attributes.have_changed()
            result = measurement(ledger.settle(holds_the_same=same), ledger, request, "shape")
        finally:
            put_back(request.name, attributes.restore, run.put_data_back)
        if run.weights_were_exchanged:
            raise ShapeRunStop("data was assigned to a weight")
        return result


def _built(task: Task, run: ShapeRun) -> torch.nn.Module:
    """Return the model that a factory builds, without its weights."""
    __tracebackhide__ = True
    factory = inputs.unwrap_cache(task.model)
    noted = run.registrations.noted() if refers_to_a_module(factory) else nullcontext()
    with torch.set_grad_enabled(task.backward), weightless(run.stop), noted, run:
        return task.build(factory, "building the model without its weights")


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
            if type(tensor) is ShapeTensor:
                return True
    return False


def _shapes_of_output(output: Any) -> Shapes:
    if type(output) is ShapeTensor:
        return (output._spec.shape,)
    if type(output) is tuple:
        parts = [part for part in output if part is not None]
        shapes = tuple([part._spec.shape for part in parts if type(part) is ShapeTensor])
        if len(shapes) == len(parts):
            return shapes
    return shapes_of_output(output)


def _check_shapes_suffice(task: Task, index: ModuleIndex, attributes: AttributeSnapshot) -> None:
    """End the run where there is what only one run could read, or code that asks for what only real tensors have."""
    iterators = attributes.held_iterators()
    if iterators and not task.runs_once:
        task.runs_once = True
        raise ShapeRunStop(f"a {type(iterators[0]).__name__} can be read only once, and is left to a real run")
    factory = task.model if task.is_factory else None
    if needs_real_tensors(index.classes, attributes.helpers(), attributes.functions, task.method, factory=factory):
        raise ShapeRunStop("the model's code looks at what only real tensors have, such as their exact types")
