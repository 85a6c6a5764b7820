"""One observed call of a model, and one of a method that calls its parts."""

from __future__ import annotations

from types import FrameType

from torch import nn

from pytest_modelbudget.counting.inputs import model_class
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import ROOT, Ledger
from pytest_modelbudget.counting.modules.results import Request, measurement
from pytest_modelbudget.counting.real_run.methods import arguments_of
from pytest_modelbudget.measurement import Measurement, TensorSpec


class Call:
    """One call that is being counted: the index and the ledger of its model.

    ``grown`` tells that a module ran which the model did not have when the call began.
    """

    def __init__(self, model: nn.Module, inputs: tuple[TensorSpec, ...], index: ModuleIndex | None = None) -> None:
        self.model = model
        self.inputs = inputs
        self.index = index or ModuleIndex(model)
        self.ledger = Ledger(self.index)
        self.grown = False

    def refresh(self, index: ModuleIndex) -> None:
        """Go on with a new index of the model, whose modules have changed since the last one."""
        positions = [index.positions.get(id(node.module), ROOT) for node in self.index.nodes]
        for node, position in zip(self.index.nodes, positions, strict=True):
            index.nodes[position].calls += node.calls
            index.nodes[position].outputs = node.outputs
        self.ledger.move(index, positions)
        self.index = index

    @property
    def macs(self) -> int:
        """The MACs so far."""
        return sum(macs for _, macs in self.ledger.forward.values())

    def result(self, flops_per_mac: int) -> Measurement:
        """Return what the call cost."""
        request = Request(model_class(self.model), False, self.inputs, False, flops_per_mac)
        return measurement(self.index, self.ledger, request, "real")

    def results(self, flops_per_mac: int) -> list[Measurement]:
        """Return what the call cost with the weights after it, and with those before it where some metric was larger.

        Modules and weights may come, go and change while the model runs.
        """
        self.ledger.join()
        before = self.index.totals()
        fresh = ModuleIndex(self.model)
        after = fresh.totals()
        found = []
        if any(old > new for old, new in zip(before, after, strict=True)):
            found.append(self.result(flops_per_mac))
        if self.grown or before != after or fresh.positions != self.index.positions:
            self.refresh(fresh)
        return [self.result(flops_per_mac), *found]


class MethodCall(Call):
    """One call of a method of a model, which calls parts of it, and perhaps the model itself.

    What the parts cost is one call of the model; where the method calls the model too, it is added to the costliest
    of these calls.
    """

    def __init__(self, model: nn.Module, frame: FrameType, index: ModuleIndex) -> None:
        super().__init__(model, arguments_of(frame), index)
        self.costliest: Call | None = None
        self.unknown: dict[str, Call] = {}
        self.grown = True  # its modules and weights are counted when it ends

    @property
    def ran(self) -> bool:
        """Whether anything ran in the method itself or in parts that it called."""
        return bool(self.ledger.forward or self.ledger.unknown or any(node.calls for node in self.index.nodes))

    def add_call(self, call: Call) -> None:
        """Keep a call of the model itself if it is the costliest, or ran an operator without a formula."""
        call.ledger.join()
        for _, operator in call.ledger.unknown:
            self.unknown.setdefault(operator, call)
        if self.costliest is None or call.macs > self.costliest.macs:
            self.costliest = call

    def results(self, flops_per_mac: int) -> list[Measurement]:
        """Return what the call of the method cost, as one call of the model, and its calls with unknown operators."""
        self.ledger.join()
        whole = self.costliest
        if whole is None:
            return super().results(flops_per_mac)
        others = {id(call): call for call in self.unknown.values() if call is not whole}
        self.refresh(whole.index)
        whole.ledger.add(self.ledger)
        return [found for call in (whole, *others.values()) for found in call.results(flops_per_mac)]
