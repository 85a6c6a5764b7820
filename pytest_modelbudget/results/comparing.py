"""Two sets of measurements side by side: which models were added, removed, grew or shrank, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.status import echoes, in_modes
from pytest_modelbudget.measurement import Measurement, Mode
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.results.baseline import Lock, other_mode
from pytest_modelbudget.results.difference import Difference, differences
from pytest_modelbudget.results.run import Run
from pytest_modelbudget.results.standings import Cause, causes

Identity = tuple[str, tuple[str, ...]]
"""The name of a model and its inputs."""

Kind = Literal["added", "removed", "grown", "shrunk", "changed", "same"]


class Comparison(Struct, frozen=True):
    """One model before and after.

    ``grown`` rose in some metric by more than is allowed, ``shrunk`` fell in some and rose in none; anything else that
    differs is ``changed``. ``before`` and ``after`` are its metrics, and ``modes`` those in which it ran where they
    differ and the costs do too: then only its weights can have grown.
    """

    name: str
    inputs: tuple[str, ...]
    kind: Kind
    before: Mapping[str, int]
    after: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    modes: tuple[Mode, Mode] | None = None

    @property
    def other_mode(self) -> str:
        """What is to be said of the modes, where they differ."""
        return in_modes(*self.modes) if self.modes else ""

    @property
    def label(self) -> str:
        """The name with the inputs."""
        return f"{self.name} ({', '.join(self.inputs)})" if self.inputs else self.name

    @property
    def moved(self) -> list[str]:
        """The metrics that changed by themselves, the one that changed most first."""
        relative = {
            difference.metric: abs(difference.after - difference.before) / (difference.before or 1)
            for difference in self.differences
        }
        found = [metric for metric in relative if metric not in echoes(self.before, self.after)]
        return sorted(found, key=lambda metric: -relative[metric])

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The modules behind that."""
        return causes(difference for difference in self.differences if difference.metric in self.moved)


def of_lock(lock: Lock) -> dict[Identity, Measurement]:
    """Return the measurements in a lock file."""
    return {
        (name, model.inputs): model.measurement(name, lock.flops_per_mac)
        for name, models in lock.models.items()
        for model in models
    }


def of_run(run: Run) -> dict[Identity, Measurement]:
    """Return the measurements of a run."""
    return {(model.name, tuple(map(str, model.inputs))): model.measurement for model in run.models}


def compare(
    before: Mapping[Identity, Measurement], after: Mapping[Identity, Measurement], growth: Growth
) -> list[Comparison]:
    """Return every model of both sides, those that grew first."""
    found = [_compared(key, before.get(key), after.get(key), growth) for key in sorted({**before, **after})]
    order: tuple[Kind, ...] = ("grown", "added", "removed", "changed", "shrunk", "same")
    return sorted(found, key=lambda comparison: (order.index(comparison.kind), comparison.name, comparison.inputs))


def _compared(key: Identity, before: Measurement | None, after: Measurement | None, growth: Growth) -> Comparison:
    old, new = _metrics(before), _metrics(after)
    if before is None or after is None:
        return Comparison(*key, "added" if before is None else "removed", old, new)
    changed, was = differences(before, after), other_mode(before.mode, old, after)
    if was is None or after.mode is None:
        return Comparison(*key, _kind(changed, growth), old, new, changed)
    weights = [difference for difference in changed if not METRICS[difference.metric].runs]
    kind: Kind = "grown" if _kind(weights, growth) == "grown" else "changed"
    return Comparison(*key, kind, old, new, changed, (was, after.mode))


def _metrics(measurement: Measurement | None) -> dict[str, int]:
    values = measurement.values() if measurement else {}
    return {metric: value for metric, value in values.items() if value is not None}


def _kind(changed: Iterable[Difference], growth: Growth) -> Kind:
    changed = tuple(changed)
    if any(difference.after > growth.allowed(difference.before) for difference in changed):
        return "grown"
    if not changed:
        return "same"
    return "shrunk" if all(difference.after < difference.before for difference in changed) else "changed"
