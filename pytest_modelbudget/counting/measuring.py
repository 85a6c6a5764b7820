"""Measure one model: a shape run, and a real run where that cannot answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

from msgspec.structs import replace
from torch import nn
from torch.export import ExportedProgram

from pytest_modelbudget.counting.artifacts.opening import is_file_of_weights, measured_weights, program_of
from pytest_modelbudget.counting.asking import inputs as asking
from pytest_modelbudget.counting.asking.input_tensors import Inputs as CallInputs
from pytest_modelbudget.counting.asking.notes_on_errors import add_notes, differing_dtypes
from pytest_modelbudget.counting.asking.optimizers import optimizer_bytes
from pytest_modelbudget.counting.asking.task import Task
from pytest_modelbudget.counting.errors import is_interrupt
from pytest_modelbudget.counting.real_run.collectives import be_rank_0
from pytest_modelbudget.counting.real_run.measuring import measure_for_real, obstacle_to_real_run
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.shape_run.measuring import measure_by_shapes, measure_with_autograd
from pytest_modelbudget.counting.torch_private import (
    current_dispatch_modes,
    disable_current_modes,
    dispatch_mode_stack_length,
    unseen_by_function_modes,
)
from pytest_modelbudget.counting.user_code import ShapeRunFailure, raise_unchanged
from pytest_modelbudget.factories import example_inputs
from pytest_modelbudget.measurement import Measurement, MeasurementError
from pytest_modelbudget.specs import Inputs

_OF_A_RUN = ("train", "dtype", "ranks", "cache", "optimizer")

_one_at_a_time = threading.RLock()


def _renew_lock() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.RLock()


if hasattr(os, "register_at_fork"):  # the thread that holds the lock may not exist in the child
    os.register_at_fork(after_in_child=_renew_lock)
_real_run_only: ContextVar[bool] = ContextVar("real_run_only", default=False)


@contextmanager
def force_real_run() -> Iterator[None]:
    """Make :func:`measure` go straight to the real run, to compare the two."""
    token = _real_run_only.set(True)
    try:
        yield
    finally:
        _real_run_only.reset(token)


def measure(
    model: nn.Module | Callable[[], nn.Module] | ExportedProgram | Path,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    inputs: Any = None,
    method: str = "forward",
    name: str | None = None,
    train: bool | None = None,
    dtype: Any = None,
    backward: bool = False,
    memory: bool = False,
    ranks: int | None = None,
    cache: int | None = None,
    optimizer: Any = None,
    flops_per_mac: int = 2,
    input_size: Any = None,
) -> Measurement:
    """Measure the params, MACs and FLOPs of a model for one set of inputs.

    Nothing is computed where shapes suffice, and nothing changes: model, inputs, random numbers and torch itself.

    :param model: a module, or a callable without required arguments that returns one. A callable is built without
        allocating or initialising its weights. Also an exported program, or the ``pathlib.Path`` of a ``.pt2`` file
        that holds one, which is loaded (only load files that you built: loading runs what is in them); without inputs
        it takes those with which it was exported. Of the ``Path`` of a ``.safetensors`` file, or of the index of its
        shards, the header is read: params are all elements of the file, which cannot tell buffers from parameters.
    :param args: the positional inputs. A tuple is unpacked, anything else is one input.
    :param kwargs: the keyword inputs.
    :param inputs: instead of both, the shape of the input with its batch dimension, ``(1, 3, 224, 224)``, a spec such
        as ``"1x128 int64"`` or ``"1x8 int64 = 63"``, or nested lists and dicts (by keyword) of them, with numbers,
        booleans and strings as they are; or the name of a function that returns the inputs, ``"acme.data:batch"``.
        Without a dtype an input has that of the model's floating-point weights; integers are zeros unless they say
        otherwise, booleans are true, and floats have no values.
    :param method: what to run instead of the model itself: ``"encode"``, or ``"generate"``, which needs a real run.
    :param name: the model's name in reports; by default the factory's name or the class.
    :param train: whether the model runs in train mode or in eval mode. By default a module runs as it is, and what a
        callable builds in eval mode, unless it is measured with ``backward`` or its ``training_step``. A module is left
        in the mode in which it was.
    :param dtype: a dtype of floating-point weights, ``"bfloat16"``, to which the model that a callable builds is cast.
    :param backward: measure training MACs and FLOPs too: of forward, and of backward of the sum of every output that
        requires grad.
    :param memory: measure ``peak_bytes`` too, the peak of the memory of activations in one forward pass,
        ``cache_bytes``, those of the model's own cache after the call, and with
        ``backward`` also ``saved_bytes``, what autograd keeps between forward and backward.
    :param ranks: how many ranks there are, for a callable that makes a mesh of them and shards the model. Every number
        is that of rank 0, and ``comm_bytes`` are those of its collectives. The process group is made for the
        measurement, without a launcher, and destroyed after it; the model runs on data.
    :param cache: of a language model: measure one decode step, whose token ids are the inputs, when that many tokens
        are cached. A first call with ``use_cache=True`` fills the cache, and is not counted. It implies ``memory``.
    :param optimizer: a callable that makes an optimizer of parameters, ``torch.optim.AdamW``, or its name,
        ``"torch.optim:AdamW"``: measure ``optimizer_bytes`` too, the tensors of its state after one step on the weights
        that get a gradient. It implies ``backward``.
    :param flops_per_mac: 2, or 1 for the convention of most papers, whose "FLOPs" are MACs.
    :param input_size: the older name of ``inputs``.
    :return: exact integers. Without any inputs only params, trainable params and weight bytes.
    :raises TypeError: for a model that is none, a factory that returns something else, or inputs of the wrong kind.
    :raises ValueError: for a name with control characters.
    :raises MeasurementError: where values are needed and there are none, or what the run changed cannot be put back.

    An exception of the model is raised unchanged, with a note; time limits and interrupts pass through at once.
    """
    __tracebackhide__ = True
    return measure_also(
        False,
        model,
        args,
        kwargs,
        inputs=inputs,
        method=method,
        name=name,
        train=train,
        dtype=dtype,
        backward=backward,
        memory=memory,
        ranks=ranks,
        cache=cache,
        optimizer=optimizer,
        flops_per_mac=flops_per_mac,
        input_size=input_size,
    )


def measure_also(
    safetensors_bytes: bool,
    model: Any,
    args: Any = (),
    kwargs: Any = None,
    *,
    inputs: Any = None,
    name: Any = None,
    flops_per_mac: Any = 2,
    input_size: Any = None,
    **how: Any,
) -> Measurement:
    """Measure as :func:`measure` does, and perhaps ``safetensors_bytes``, for which the model's state is read."""
    __tracebackhide__ = True
    called, scale = asking.check_name(name), asking.check_convention(flops_per_mac)
    given, sized = _given(args, kwargs, inputs, input_size)
    if isinstance(model, Path) and is_file_of_weights(model):
        if any(how.get(key) is not None for key in _OF_A_RUN) or given is not None or sized is not None:
            raise TypeError(f"{model}: holds weights, and nothing to run: give no inputs, {', '.join(_OF_A_RUN)}")
        return measured_weights(model, called, scale)
    program = program_of(model)
    if program is not None:
        model, called = program.module, called or program.name
        given = program.inputs if given is None and sized is None else given
    task = _task(model, given, sized, name=called, flops_per_mac=scale, saves=safetensors_bytes, **how)
    found = _found(task)
    return found if program is None else replace(found, file_bytes=program.file_bytes)


def _task(
    model: Any,
    given: CallInputs | None,
    sized: Inputs | None,
    *,
    method: Any = "forward",
    train: Any = None,
    dtype: Any = None,
    backward: bool = False,
    memory: bool = False,
    ranks: Any = None,
    cache: Any = None,
    optimizer: Any = None,
    **checked: Any,
) -> Task:
    """Return what was asked for. Raises ``TypeError`` for arguments of the wrong kind."""
    __tracebackhide__ = True
    backward = backward or optimizer is not None
    has_inputs = given is not None or sized is not None
    return Task(
        asking.check_model(model),
        given,
        sized,
        method=asking.check_method(method),
        train=asking.check_train(train),
        dtype=asking.check_dtype(dtype, model),
        ranks=asking.check_ranks(ranks, model),
        cache=asking.check_cache(cache, backward=backward, has_inputs=has_inputs),
        optimizer=asking.check_optimizer(optimizer),
        backward=backward,
        memory=memory or cache is not None,
        **checked,
    )


def _found(task: Task) -> Measurement:
    __tracebackhide__ = True
    if task.memory and task.backward:  # operators are whole only where no gradients are recorded
        forward = _found(task.of_forward())
        task.memory, task.keeps_saved = False, True
        found = _found(task)
        saved = task.saved_bytes if found.run is not None else None
        return replace(
            found,
            memory=forward.memory,
            peak_bytes=forward.peak_bytes,
            cache_bytes=forward.cache_bytes,
            saved_bytes=saved,
        )
    outcome = _measured_alone(task)
    # Out here, where no context that ends can give an exception another context.
    found = outcome if isinstance(outcome, Measurement) else _fail(outcome, task)
    if task.memory and found.run is not None:
        found = replace(found, cache_bytes=task.cache_bytes)
    if task.optimizer is not None and found.training_macs is not None:
        found = replace(found, optimizer_bytes=task.optimizer_bytes)
    if task.ranks is not None:
        found = replace(found, ranks=task.ranks)
        if found.run is not None:
            found = replace(found, comm_bytes=sum(one.nbytes for one in found.collectives))
    return replace(found, safetensors_bytes=task.safetensors_bytes) if task.saves else found


def _given(args: Any, kwargs: Any, inputs: Any, input_size: Any) -> tuple[CallInputs | None, Inputs | None]:
    """Return the inputs with values, or what to make them of; neither where only weights can be measured."""
    given, sized = asking.check_arguments(args, kwargs), asking.check_inputs(inputs, input_size)
    if given is not None and sized is not None:
        raise TypeError(f"give {'input_size' if inputs is None else 'inputs'} or args/kwargs, not both")
    if sized is not None and sized.function:
        return asking.check_arguments(*example_inputs(sized.function, None)), None
    return given, sized


def _measured_alone(task: Task) -> Measurement | Exception:
    __tracebackhide__ = True
    _check_nobody_waits()
    changes = Changes()
    with _one_at_a_time, unseen_by_function_modes():
        try:
            if task.ranks is not None:
                be_rank_0(changes, task.ranks)
            if dispatch_mode_stack_length():
                changes.enter(disable_current_modes())
            outcome = _measure(task, changes)
            if task.optimizer is not None and task.trained is not None:
                task.optimizer_bytes = optimizer_bytes(task.optimizer, task.trained)
            return outcome
        finally:
            try:
                changes.take_back()
            finally:
                changes.take_back()  # an interrupt may come before the first has begun


def _check_nobody_waits() -> None:
    """Raise :class:`MeasurementError` in a thread of a model that is being measured, which may wait for it."""
    if _one_at_a_time.acquire(blocking=False):
        _one_at_a_time.release()
    elif any(isinstance(mode, RealRun) and mode.measures for mode in current_dispatch_modes()):
        raise MeasurementError(
            "measure() was called in a thread of a model that is being measured; call it before or after that"
        )


def _measure(task: Task, changes: Changes) -> Measurement | Exception:
    """Measure by shapes; by a real run where that fails and weights and values are there.

    An exception of the model itself is returned.
    """
    __tracebackhide__ = True
    outcome = None if _real_run_only.get() or task.ranks is not None else measure_by_shapes(task, changes)
    if isinstance(outcome, Measurement):
        return outcome
    obstacle = obstacle_to_real_run(task)
    if obstacle is not None:
        return _without_real_run(task, changes, outcome, obstacle)
    # The exception holds the frames of the run, and they hold its tensors.
    reason = ""
    if outcome is not None:
        reason = outcome.reason
        outcome.forget()
    try:
        return measure_for_real(task, changes, reason)
    except Exception as error:
        if is_interrupt(error):
            raise
        return error


def _without_real_run(
    task: Task, changes: Changes, failure: ShapeRunFailure | None, obstacle: str
) -> Measurement | Exception:
    """Measure by a shape run with autograd, where torch has fewer limits; or tell why that failed too.

    It is also the one run of what can be read only once.
    """
    __tracebackhide__ = True
    if failure is None:
        raise MeasurementError(obstacle)
    if task.runs_once or isinstance(failure.error, RuntimeError):
        outcome = measure_with_autograd(task, changes)
        if isinstance(outcome, Measurement):
            return outcome
        failure = outcome
    if failure.error is None:
        raise failure.as_exception(obstacle, differing_dtypes(task))
    return failure.error


def _fail(error: Exception, task: Task) -> NoReturn:
    __tracebackhide__ = True
    add_notes(error, task)
    raise_unchanged(error)
