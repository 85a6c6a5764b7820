"""The observed calls: of models, and of methods that call parts of their model."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import FrameType

from msgspec.structs import replace
from torch import nn

from pytest_modelbudget.counting.asking.inputs import mode_of, model_class
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import ROOT, Ledger
from pytest_modelbudget.counting.modules.totals import Request, measurement
from pytest_modelbudget.counting.observing.methods import (
    Methods,
    Token,
    arguments_of,
    has_raised,
    leave_token,
    token_of,
)
from pytest_modelbudget.measurement import Measurement, TensorSpec


class Call:
    """One call that is being counted, in the ledger of its model; ``memory`` is a measurement of its memory."""

    def __init__(
        self,
        model: nn.Module,
        inputs: tuple[TensorSpec, ...],
        index: ModuleIndex | None = None,
        memory: Measurement | None = None,
    ) -> None:
        self.model = model
        self._mode = mode_of(model)
        self.inputs = inputs
        self.ledger = Ledger(index or ModuleIndex(model))
        self._memory = memory

    @property
    def index(self) -> ModuleIndex:
        """The modules of the model."""
        return self.ledger.index

    @property
    def macs(self) -> int:
        """The MACs so far."""
        return sum(macs for _, macs in self.ledger.forward.values())

    def end(self) -> None:
        """Count what other threads have run of the call, and the modules and weights as they are when it ends."""
        self.ledger.join()
        if self.index.has_lazy_tensors:
            self.index.count_tensors()
        self.ledger.settle()

    def result(self, flops_per_mac: int) -> Measurement:
        """Return what the call cost."""
        request = Request(model_class(self.model), False, self.inputs, False, flops_per_mac)
        found = measurement(self.index, self.ledger, request, "real", self._mode)
        known = self._memory
        if known is None:
            return found
        return replace(found, memory=known.memory, peak_bytes=known.peak_bytes, cache_bytes=known.cache_bytes)


class MethodCall(Call):
    """One call of a method of a model, which calls parts of it, and perhaps the model itself.

    What the parts cost is one call of the model; where the method calls the model too, it is added to the costliest
    of these calls. ``is_forward``: a call of the model runs it too.
    """

    def __init__(self, model: nn.Module, frame: FrameType, index: ModuleIndex) -> None:
        super().__init__(model, arguments_of(frame), index)
        self.costliest: Call | None = None
        self.is_forward = frame.f_code.co_name == "forward"

    def add_call(self, call: Call) -> None:
        """Keep a call of the model itself if it is the costliest; of the others, which operators had no formula."""
        if self.costliest is None or call.macs > self.costliest.macs:
            self.costliest, call = call, self.costliest or call
        for position, name in call.ledger.unknown if call is not self.costliest else ():
            module = self.index.positions.get(id(call.index.nodes[position].module), ROOT)
            self.ledger.charge_unknown(module, name)

    def result(self, flops_per_mac: int) -> Measurement:
        """Return what the call of the method cost, as one call of the model."""
        if self.costliest is None:
            return super().result(flops_per_mac)
        whole = self.costliest
        self.ledger.move(whole.index)
        whole.ledger.add(self.ledger)
        return whole.result(flops_per_mac)


class RunningMethods:
    """The calls of methods that have not ended. Each lasts as long as the frame in which the method runs.

    ``keep`` is called with each that ended without an exception, ``fault`` with what went wrong at its end. ``_calls``
    and ``_tokens`` are by the identity of the token that was left in the frame.
    """

    def __init__(self, keep: Callable[[Call], None], fault: Callable[[str], None]) -> None:
        self._keep = keep
        self._fault = fault
        self._calls: dict[int, MethodCall] = {}
        self._tokens: dict[int, weakref.ref[Token]] = {}

    @property
    def ledgers(self) -> list[Ledger]:
        """The ledgers of the calls."""
        return [call.ledger for call in self._calls.values()]

    def outermost(self, frames: Methods, part: nn.Module | None = None) -> MethodCall | None:
        """Return the call of the outermost method among ``frames``, or of the outermost whose module holds ``part``."""
        for frame, owner in reversed(frames):
            token = token_of(frame)
            call = self._calls.get(id(token)) if token is not None else None
            if call is not None and (part is None or id(part) in call.index.positions):
                return call
            index = ModuleIndex(owner)
            # A part of another model: an outer method does not pay for it.
            if part is not None and id(part) not in index.positions:
                continue
            if call is None:
                return self._begin(MethodCall(owner, frame, index), frame)
            call.ledger.move(index)  # the module has got the part since its call began
            return call
        return None

    def _begin(self, call: MethodCall, frame: FrameType) -> MethodCall:
        # `ended` may run as soon as the token is gone; until the key is known it finds no call.
        key = 0

        def ended(raised: bool) -> None:
            try:
                self._end(key, raised)
            except Exception as error:  # it runs in a callback of a weak reference: nobody above would show it
                self._fault(f"what {model_class(call.model)} cost is not known: {type(error).__name__}: {error}")

        token, reference = leave_token(frame, ended)
        key = id(token)
        self._calls[key], self._tokens[key] = call, reference
        return call

    def _end(self, key: int, raised: bool) -> None:
        call = self._calls.pop(key, None)
        self._tokens.pop(key, None)
        if call is not None and not raised:
            call.end()
            self._keep(call)

    def end_all(self) -> None:
        """End the calls whose frames are still held, as by the traceback of an exception that has ended them."""
        for key in [*self._calls]:
            token = self._tokens[key]()
            self._end(key, raised=token is not None and has_raised(token))
