"""One observed call of a model, and one of a method that calls its parts."""

from __future__ import annotations

from types import FrameType

from torch import nn

from pytest_modelbudget.counting.asking.inputs import model_class
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import ROOT, Ledger
from pytest_modelbudget.counting.modules.totals import Request, measurement
from pytest_modelbudget.counting.observing.methods import arguments_of
from pytest_modelbudget.measurement import Measurement, Mode, TensorSpec


class Call:
    """One call that is being counted, in the ledger of its model."""

    def __init__(self, model: nn.Module, inputs: tuple[TensorSpec, ...], index: ModuleIndex | None = None) -> None:
        self.model = model
        self._mode: Mode = "train" if getattr(model, "training", False) else "eval"
        self.inputs = inputs
        self.ledger = Ledger(index or ModuleIndex(model))

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
        return measurement(self.index, self.ledger, request, "real", self._mode)


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
        """Keep a call of the model itself if it is the costliest; of the others, what they could not count."""
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
