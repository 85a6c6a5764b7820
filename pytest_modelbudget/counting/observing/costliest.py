"""Which calls of the observed models are kept: per metric the costliest one of each model."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

from torch import nn

from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.metrics import METRICS


class CostliestCalls:
    """The calls of one model that cost most: by each metric, and by each operator without a formula."""

    def __init__(self) -> None:
        self._by_metric: dict[str, Measurement] = {}
        self._by_unknown: dict[str, Measurement] = {}

    def add(self, found: Measurement) -> None:
        """Keep a call if no other costs as much by some metric, or ran an operator that none else did."""
        for metric, value in found.values().items():
            known = self._by_metric.get(metric)
            if value is not None and (known is None or value > (getattr(known, metric) or 0)):
                self._by_metric[metric] = found
        for operator in found.unknown:
            self._by_unknown.setdefault(operator.name, found)

    def __iter__(self) -> Iterator[Measurement]:
        """Yield as few calls as show the largest value of every metric and every operator without a formula."""
        chosen: list[Measurement] = []
        for metric in sorted(METRICS, key=lambda metric: metric != "macs"):  # the costliest forward comes first
            most = self._by_metric.get(metric)
            if most is not None and all((getattr(call, metric) or 0) < getattr(most, metric) for call in chosen):
                chosen.append(most)
        for operator, found in self._by_unknown.items():
            if all(operator not in {unknown.name for unknown in call.unknown} for call in chosen):
                chosen.append(found)
        return iter(chosen)


class ObservedModels:
    """The models that were seen, in the order of their first calls. None of them is kept alive."""

    def __init__(self) -> None:
        self._models: list[CostliestCalls] = []
        self._living: dict[int, tuple[weakref.ref[nn.Module], CostliestCalls]] = {}

    def calls_of(self, model: nn.Module) -> CostliestCalls:
        """Return the calls of a model. Its ``id`` may be another's once it is gone, which a weak reference shows."""
        known = self._living.get(id(model))
        if known is not None and known[0]() is model:
            return known[1]
        calls = CostliestCalls()
        self._models.append(calls)
        self._living[id(model)] = weakref.ref(model), calls
        return calls

    def calls(self) -> Iterator[list[Measurement]]:
        """Yield the costliest calls of each model that has params or MACs; losses and activations are not models."""
        for calls in self._models:
            yield [call for call in calls if call.params or call.macs or call.unknown]
