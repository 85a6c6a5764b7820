"""Measure one model: a shape run, and a real run where that cannot answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting import inputs, origins
from pytest_modelbudget.counting.errors import MeasurementError, ShapeRunStop
from pytest_modelbudget.counting.modules.calls import attribute_calls
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.results import Request, measurement, weights_only
from pytest_modelbudget.counting.progress import announce
from pytest_modelbudget.counting.real_run.memory import free_memory
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.restoring.attributes import AttributeSnapshot
from pytest_modelbudget.counting.restoring.gradients import restored_gradients
from pytest_modelbudget.counting.restoring.kernels import unfused_kernels
from pytest_modelbudget.counting.restoring.process_state import restored_process_state
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.building import weightless
from pytest_modelbudget.counting.shape_run.composites import can_remember_composites
from pytest_modelbudget.counting.shape_run.leftovers import check_none_survives
from pytest_modelbudget.counting.shape_run.mode import ShapeRun
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, as_shapes
from pytest_modelbudget.counting.torch_private import disable_current_modes, dispatch_mode_stack_length
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
    inputs.check_model(model)
    if flops_per_mac not in (1, 2):
        raise ValueError(f"flops_per_mac must be 2, or 1 for the convention of most papers, not {flops_per_mac!r}")
    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"name must be a non-empty string, not {name!r}")
    call_inputs = inputs.check_arguments(args, kwargs, input_size)
    call = _MeasureCall(model, call_inputs, input_size is not None, name, backward, flops_per_mac)
    with _one_at_a_time, ExitStack() as stack:
        if dispatch_mode_stack_length():
            stack.enter_context(disable_current_modes())
        stack.enter_context(restored_process_state())
        return call.run()


class _MeasureCall:
    """One call of :func:`measure`."""

    def __init__(
        self,
        model: Any,
        call_inputs: inputs.Inputs | None,
        only_sizes: bool,
        name: str | None,
        backward: bool,
        flops_per_mac: int,
    ) -> None:
        self.model = model
        self.inputs = call_inputs
        self.only_sizes = only_sizes
        self.name = name
        self.backward = backward
        self.flops_per_mac = flops_per_mac
        self.weight_bytes: int | None = None

    def run(self) -> Measurement:
        """Measure by shapes; by a real run where that fails and weights and values are there."""
        __tracebackhide__ = True
        failure: origins.ShapeRunFailure | None = None
        if not _real_run_only.get():
            outcome = self._by_shapes()
            if isinstance(outcome, Measurement):
                return outcome
            failure = outcome
        obstacle = self._obstacle_to_real_run()
        if obstacle is not None:
            raise (MeasurementError(obstacle) if failure is None else failure.as_exception(obstacle))
        try:
            return self._for_real("" if failure is None else failure.reason)
        except Exception as error:
            raise origins.ending_at_user_line(error) from None

    def _request(self, built: nn.Module) -> Request:
        name, named = inputs.model_name(self.model, built, self.name)
        return Request(name, named, inputs.input_specs(self.inputs), self.backward, self.flops_per_mac)

    def _by_shapes(self) -> Measurement | origins.ShapeRunFailure:
        """Return the measurement of a shape run, or why there is none; no tensor that it made outlives it.

        The forward runs without autograd, unless that is asked for or the forward itself turns out to need it.
        """
        __tracebackhide__ = True
        if can_remember_composites() and not self.backward:
            outcome = self._one_shape_run(autograd=False)
            if isinstance(outcome, Measurement) or outcome.asked_for_values:
                return outcome
        return self._one_shape_run(autograd=True)

    def _one_shape_run(self, *, autograd: bool) -> Measurement | origins.ShapeRunFailure:
        __tracebackhide__ = True
        run = ShapeRun()
        failure: origins.ShapeRunFailure | None = None
        result: Measurement | None = None
        try:
            result = self._shape_run(run, nullcontext() if autograd else run.below_autograd)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = origins.ShapeRunFailure(error, run.stopped_by)
        run.release()
        torch.clear_autocast_cache()
        check_none_survives(run.survivors)
        if result is None:
            assert failure is not None
            return failure
        return result

    def _shape_run(self, run: ShapeRun, autograd: AbstractContextManager[Any]) -> Measurement:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.set_grad_enabled(self.backward))
            stack.enter_context(unfused_kernels(self.backward))
            built = self.model
            if not isinstance(built, nn.Module) or isinstance(built, type):
                with torch.no_grad() if not self.backward else torch.enable_grad(), weightless(run.stop), run:
                    announce("building the model without its weights")
                    factory = inputs.unwrap_cache(self.model)
                    built = inputs.check_built(factory(), self.model)
            index = ModuleIndex(built)
            if run.stopped_by is not None:
                raise ShapeRunStop("the factory caught the exception that asked for values")
            if index.has_lazy_tensors or index.has_scripted_modules():
                raise ShapeRunStop("lazy and scripted modules need a real run")
            request = self._request(built)
            self.weight_bytes = sum(node.weight_bytes for node in index.nodes)
            if self.inputs is None:
                return weights_only(index, request)
            ledger = Ledger(index)
            floats = [buffer for buffer in index.buffers if buffer.is_floating_point() or buffer.is_complex()]
            run.begin_forward([*index.parameters, *floats], ledger)
            positional, keyword = as_shapes(self.inputs, run.new_tensor, _device_of_weights(index))
            attributes = AttributeSnapshot((built, self.inputs) if built is self.model else (self.inputs,))
            try:
                held = [*index.parameters, *attributes.tensors]
                with restored_gradients(held), autograd, run, attribute_calls(ledger, self.backward):
                    announce("a run on shapes")
                    self._forward(built, positional, keyword, ledger)
                if run.stopped_by is not None:
                    raise ShapeRunStop("the model caught the exception that asked for values")
                return measurement(index, ledger, request, "shape")
            finally:
                attributes.restore()
                run.storages.restore()

    def _forward(self, built: nn.Module, positional: Any, keyword: Any, ledger: Ledger) -> None:
        __tracebackhide__ = True
        if not self.backward:
            built(*positional, **keyword)
            return
        ledger.note_module_boundary()
        out = built(*positional, **keyword)
        outputs = [tensor for tensor in inputs.tensors_of(out) if tensor.requires_grad]
        outputs = [tensor for tensor in outputs if tensor.is_floating_point() or tensor.is_complex()]
        if outputs:
            with ledger.backward_pass():
                torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])

    def _obstacle_to_real_run(self) -> str | None:
        """Return why no real run is possible, or None."""
        if isinstance(self.model, nn.Module) and any(_has_no_data(weight) for weight in self.model.parameters()):
            return "the model has no weights (they are on the meta device); pass an instance that has them"
        if (
            not self.only_sizes
            and self.inputs is not None
            and any(_has_no_data(item) for item in inputs.tensors_of(self.inputs))
        ):
            return "the inputs have no values (they are on the meta device); pass inputs with values"
        free, needed = free_memory(), self.weight_bytes
        if not isinstance(self.model, nn.Module) and needed and free is not None and needed > free:
            return f"its weights take {needed:,} bytes and only {free:,} are free"
        return None

    def _for_real(self, reason: str) -> Measurement:
        __tracebackhide__ = True
        torch.manual_seed(0) if not isinstance(self.model, nn.Module) else None
        with torch.inference_mode(False), unfused_kernels(self.backward):
            built = self.model
            if not isinstance(built, nn.Module) or isinstance(built, type):
                announce(f"building the model with its weights{reason}")
                built = inputs.check_built(self.model(), self.model)
            announce(f"a real run{reason}")
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
        call_inputs = inputs.with_data(self.inputs, _device_of_weights(index)) if self.only_sizes else self.inputs
        if self.backward:
            call_inputs = inputs.detached(call_inputs)
        ledger, storages = Ledger(index), StorageSnapshot()
        run = RealRun(storages)
        run.ledger = ledger
        attributes = AttributeSnapshot((built, self.inputs))
        index.replace_lazy_tensors()
        index.count_tensors()
        grad_mode = torch.enable_grad() if self.backward else torch.set_grad_enabled(torch.is_grad_enabled())
        held = [*index.parameters, *attributes.tensors, *inputs.tensors_of(call_inputs)]
        try:
            with grad_mode, restored_gradients(held), run, attribute_calls(ledger, self.backward):
                self._forward(built, call_inputs[0], call_inputs[1], ledger)
            index.count_tensors()
            _check_lazy(index, request, "the forward pass did not reach, so their shapes are not known")
            return measurement(index, ledger, request, "real")
        finally:
            attributes.restore()
            storages.restore()


def _check_lazy(index: ModuleIndex, request: Request, which: str) -> None:
    if index.has_lazy_tensors:
        raise MeasurementError(f"{request.name} has lazy modules, which {which}")


def _device_of_weights(index: ModuleIndex) -> torch.device:
    """Return where the weights are, and so where inputs without a device of their own belong."""
    first: torch.device | None = None
    for weight in index.parameters:
        if weight.device.type != "meta":
            return weight.device
        first = first or weight.device
    return first or torch.get_default_device()


def _has_no_data(tensor: torch.Tensor) -> bool:
    return tensor.is_meta or type(tensor) is ShapeTensor
