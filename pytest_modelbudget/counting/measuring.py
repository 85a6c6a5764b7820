"""Measure one model: a shape run, and a real run where that cannot answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from pytest_modelbudget.counting import inputs as given
from pytest_modelbudget.counting import origins
from pytest_modelbudget.counting.errors import MeasurementError, ShapeRunStop
from pytest_modelbudget.counting.modules.calls import attributed
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.results import Request, measurement, weights_only
from pytest_modelbudget.counting.progress import say
from pytest_modelbudget.counting.real_run.memory import free_memory
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.restoring.attributes import Objects
from pytest_modelbudget.counting.restoring.gradients import gradients_kept
from pytest_modelbudget.counting.restoring.kernels import plain_kernels
from pytest_modelbudget.counting.restoring.process_state import process_state
from pytest_modelbudget.counting.restoring.storages import Storages
from pytest_modelbudget.counting.shape_run import leftovers
from pytest_modelbudget.counting.shape_run.building import weightless
from pytest_modelbudget.counting.shape_run.composites import CAN_LEAVE_OUT
from pytest_modelbudget.counting.shape_run.mode import ShapeRun, as_shapes
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor
from pytest_modelbudget.measurement import Measurement

_one_at_a_time = threading.RLock()
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
    model: nn.Module | Callable[[], nn.Module],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    input_size: Any = None,
    name: str | None = None,
    backward: bool = False,
    flops_per_mac: int = 2,
) -> Measurement:
    """Measure the params, MACs and FLOPs of a model for one set of inputs.

    Nothing is computed where shapes suffice, and nothing changes: model, inputs, random numbers and torch itself are
    left as they were, also when ``forward`` raises.

    :param model: a module, or a callable without required arguments that returns one. A callable is built without
        allocating or initialising its weights.
    :param args: the positional inputs. A tuple or list is unpacked, anything else is one input.
    :param kwargs: the keyword inputs.
    :param input_size: instead of both, the shape of the input with its batch dimension, ``(1, 3, 224, 224)``, or a list
        of shapes, for inputs of the default dtype.
    :param name: the model's name in reports; by default the factory's name or the class.
    :param backward: measure the training cost too: forward, and backward of the sum of every output that requires grad.
    :param flops_per_mac: 2, or 1 for the convention of most papers, whose "FLOPs" are MACs.
    :return: exact integers. Without any inputs only params, trainable params and bytes of weights.
    :raises TypeError: for a model that is none, a factory that returns something else, or inputs of the wrong kind.
    :raises MeasurementError: where values are needed and there are none.

    An exception of the model itself is raised unchanged.
    """
    __tracebackhide__ = True
    given.check_model(model)
    if flops_per_mac not in (1, 2):
        raise ValueError(f"flops_per_mac must be 2, or 1 for the convention of most papers, not {flops_per_mac!r}")
    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"name must be a non-empty string, not {name!r}")
    inputs = given.check_arguments(args, kwargs, input_size)
    task = Task(model, inputs, input_size is not None, name, backward, flops_per_mac)
    with _one_at_a_time, ExitStack() as stack:
        if torch._C._len_torch_dispatch_stack():
            stack.enter_context(_disable_current_modes())
        stack.enter_context(process_state())
        return task.run()


class Task:
    """One call of :func:`measure`."""

    def __init__(
        self, model: Any, inputs: given.Inputs | None, sized: bool, name: str | None, backward: bool, flops_per_mac: int
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.sized = sized
        self.name = name
        self.backward = backward
        self.flops_per_mac = flops_per_mac
        self.weight_bytes: int | None = None

    def run(self) -> Measurement:
        """Measure by shapes; by a real run where that fails and weights and values are there."""
        __tracebackhide__ = True
        failure: origins.Failure | None = None
        if not _real_run_only.get():
            outcome = self._by_shapes()
            if isinstance(outcome, Measurement):
                return outcome
            failure = outcome
        obstacle = self._obstacle()
        if obstacle is not None:
            raise (MeasurementError(obstacle) if failure is None else failure.final(obstacle))
        try:
            return self._for_real("" if failure is None else failure.reason)
        except Exception as error:
            raise origins.at_users_line(error) from None

    def _request(self, built: nn.Module) -> Request:
        name, named = given.name_of(self.model, built, self.name)
        return Request(name, named, given.describe(self.inputs), self.backward, self.flops_per_mac)

    def _by_shapes(self) -> Measurement | origins.Failure:
        """Return the measurement of a shape run, or why there is none; nothing that it made lives on.

        The forward runs without autograd, unless that is asked for or the forward itself turns out to need it.
        """
        __tracebackhide__ = True
        if CAN_LEAVE_OUT and not self.backward:
            outcome = self._one_shape_run(autograd=False)
            if isinstance(outcome, Measurement) or outcome.asked_for_values:
                return outcome
        return self._one_shape_run(autograd=True)

    def _one_shape_run(self, *, autograd: bool) -> Measurement | origins.Failure:
        __tracebackhide__ = True
        run = ShapeRun()
        failure: origins.Failure | None = None
        result: Measurement | None = None
        try:
            result = self._shape_run(run, nullcontext() if autograd else run.below)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = origins.Failure(error, run.stopped)
        run.forget()
        torch.clear_autocast_cache()
        leftovers.check(run)
        if result is None:
            assert failure is not None
            return failure
        return result

    def _shape_run(self, run: ShapeRun, autograd: AbstractContextManager[Any]) -> Measurement:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.set_grad_enabled(self.backward))
            stack.enter_context(plain_kernels(self.backward))
            built = self.model
            if not isinstance(built, nn.Module) or isinstance(built, type):
                with torch.no_grad() if not self.backward else torch.enable_grad(), weightless(run.stop), run:
                    say("building the model without its weights")
                    factory = given.unwrap_cache(self.model)
                    built = given.check_built(factory(), self.model)
            index = ModuleIndex(built)
            if run.stopped is not None:
                raise ShapeRunStop("the factory swallowed that values were needed")
            if index.lazy or index.scripted():
                raise ShapeRunStop("lazy and scripted modules need a real run")
            request = self._request(built)
            self.weight_bytes = sum(node.weight_bytes for node in index.nodes)
            if self.inputs is None:
                return weights_only(index, request)
            ledger = Ledger(index)
            floats = [buffer for buffer in index.buffers if buffer.is_floating_point() or buffer.is_complex()]
            run.begin_forward([*index.parameters, *floats], ledger)
            positional, keyword = as_shapes(self.inputs, run, _device(index))
            objects = Objects((built, self.inputs) if built is self.model else (self.inputs,))
            try:
                held = [*index.parameters, *objects.tensors]
                with gradients_kept(held), autograd, run, attributed(ledger, self.backward):
                    say("a run on shapes")
                    self._forward(built, positional, keyword, ledger)
                if run.stopped is not None:
                    raise ShapeRunStop("the model swallowed that values were needed")
                return measurement(index, ledger, request, "shape")
            finally:
                objects.restore()
                run.storages.restore()

    def _forward(self, built: nn.Module, positional: Any, keyword: Any, ledger: Ledger) -> None:
        __tracebackhide__ = True
        if not self.backward:
            built(*positional, **keyword)
            return
        ledger.mark()
        out = built(*positional, **keyword)
        ends = [tensor for tensor in given.tensors_of(out) if tensor.requires_grad]
        ends = [tensor for tensor in ends if tensor.is_floating_point() or tensor.is_complex()]
        if ends:
            with ledger.backward():
                torch.autograd.backward(ends, [torch.ones_like(end) for end in ends])

    def _obstacle(self) -> str | None:
        """Return why no real run is possible, or None."""
        if isinstance(self.model, nn.Module) and any(_has_no_data(weight) for weight in self.model.parameters()):
            return "the model has no weights (they are on the meta device); pass an instance that has them"
        if (
            not self.sized
            and self.inputs is not None
            and any(_has_no_data(item) for item in given.tensors_of(self.inputs))
        ):
            return "the inputs have no values (they are on the meta device); pass inputs with values"
        free, needed = free_memory(), self.weight_bytes
        if not isinstance(self.model, nn.Module) and needed and free is not None and needed > free:
            return f"its weights take {needed:,} bytes and only {free:,} are free"
        return None

    def _for_real(self, reason: str) -> Measurement:
        __tracebackhide__ = True
        torch.manual_seed(0) if not isinstance(self.model, nn.Module) else None
        with torch.inference_mode(False), plain_kernels(self.backward):
            built = self.model
            if not isinstance(built, nn.Module) or isinstance(built, type):
                say(f"building the model with its weights{reason}")
                built = given.check_built(self.model(), self.model)
            say(f"a real run{reason}")
            if self.backward or not torch.is_grad_enabled():
                return self._real_run(built)
            try:
                with torch.no_grad():
                    return self._real_run(built)
            except RuntimeError:
                return self._real_run(built)  # the forward itself may ask for gradients, as force fields do

    def _real_run(self, built: nn.Module) -> Measurement:
        __tracebackhide__ = True
        index = ModuleIndex(built)
        request = self._request(built)
        if self.inputs is None:
            _check_lazy(index, request, "need inputs to know their shapes")
            return weights_only(index, request)
        inputs = given.materialize(self.inputs, _device(index)) if self.sized else self.inputs
        if self.backward:
            inputs = given.detached(inputs)
        ledger, storages = Ledger(index), Storages()
        run = RealRun(storages)
        run.ledger = ledger
        objects = Objects((built, self.inputs))
        index.refresh_lazy()
        index.weigh()
        grad_mode = torch.enable_grad() if self.backward else torch.set_grad_enabled(torch.is_grad_enabled())
        held = [*index.parameters, *objects.tensors, *given.tensors_of(inputs)]
        try:
            with grad_mode, gradients_kept(held), run, attributed(ledger, self.backward):
                self._forward(built, inputs[0], inputs[1], ledger)
            index.weigh()
            _check_lazy(index, request, "the forward pass did not reach, so their shapes are not known")
            return measurement(index, ledger, request, "real")
        finally:
            objects.restore()
            storages.restore()


def _check_lazy(index: ModuleIndex, request: Request, which: str) -> None:
    if index.lazy:
        raise MeasurementError(f"{request.name} has lazy modules, which {which}")


def _device(index: ModuleIndex) -> torch.device:
    """Return where the weights are, and so where inputs without a device of their own belong."""
    first: torch.device | None = None
    for weight in index.parameters:
        if weight.device.type != "meta":
            return weight.device
        first = first or weight.device
    return first or torch.get_default_device()


def _has_no_data(tensor: torch.Tensor) -> bool:
    return tensor.is_meta or type(tensor) is ShapeTensor
