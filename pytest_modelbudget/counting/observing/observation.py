"""What was seen while models were observed."""

from __future__ import annotations

from pytest_modelbudget.counting.observing.costliest import ObservedModels
from pytest_modelbudget.measurement import Measurement, OperatorCost


class Observation:
    """What was seen while code ran.

    ``faults`` says what ran and could not be counted; ``outside`` are the operators with MACs, or without a formula,
    that ran outside of any module. ``traced_under`` are the modes, by name, under which modules ran without data.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.traced_under: set[str] = set()
        self.models = ObservedModels()
        self._outside: dict[str, list[int]] = {}
        self._unknown_outside: dict[str, list[int]] = {}

    @property
    def measurements(self) -> list[Measurement]:
        """Of each model, in the order of their first calls, the calls that cost most by some metric."""
        return [call for calls in self.models.calls() for call in calls]

    @property
    def outside(self) -> tuple[OperatorCost, ...]:
        """The operators outside of modules that have MACs."""
        return tuple(OperatorCost(name, "", *tally) for name, tally in self._outside.items())

    @property
    def unknown_outside(self) -> tuple[OperatorCost, ...]:
        """The operators outside of modules that have no formula."""
        return tuple(OperatorCost(name, "", *tally) for name, tally in self._unknown_outside.items())

    def add_outside(self, name: str, macs: int | None) -> None:
        """Note one call of an operator outside of any module."""
        tallies = self._unknown_outside if macs is None else self._outside
        tally = tallies.setdefault(name, [0, 0])
        tally[0] += 1
        tally[1] += macs or 0
