"""A measurement held against its budget, with what has changed since the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from pytest_modelbudget.budgets import (
    Baseline,
    Budget,
    Exponent,
    Rules,
    Table,
    Verdict,
    budget_for,
    judge,
    judge_scaling,
)
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost
from pytest_modelbudget.metrics import METRICS, needing
from pytest_modelbudget.results.baseline import Lock, LockedModel, other_mode
from pytest_modelbudget.results.difference import Difference, differences


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement and the verdict on it.

    ``original_name`` is what the model was called before a mark named it, ``differences`` what changed since the
    baseline. ``module`` numbers the module objects that a test calls: one may have several measurements.
    """

    verdict: Verdict
    measurement: Measurement
    original_name: str
    differences: tuple[Difference, ...] = ()
    module: int = 0

    def parts(self) -> Iterator[ModuleCost]:
        """Return the model and all its modules."""
        return self.measurement.modules.walk()


def budget_of(table: Table, measurement: Measurement, rules: Sequence[Rules]) -> Budget:
    """Return the budget for a measurement: the limits of the table, and those of marks and call."""
    optional = needing("file", "ranks", "cache", "optimizer")
    lacking = [metric for metric in optional if getattr(measurement, metric) is None]
    return budget_for(table, (_named(measurement, rules).name, measurement.name), rules, lacking)


def judged(
    measurement: Measurement,
    table: Table,
    rules: Sequence[Rules],
    *,
    lock: Lock | None = None,
    accepts: bool = False,
    exponents: Mapping[str, Exponent] | None = None,
    points: Sequence[tuple[int, Measurement]] = (),
    module: int = 0,
) -> Measured:
    """Hold a measurement against its budget and the baseline, and the growth over ``points`` against exponents.

    ``accepts`` tells that the run accepts what has grown; ``module`` numbers the module objects that a test calls.
    """
    named, budget = _named(measurement, rules), budget_of(table, measurement, rules)
    # A name taken from a class may belong to many models, so that no baseline is looked up for it.
    before = lock.find(named) if lock and named.named else None
    baseline = None if lock is None else _baseline(before, named, budget, accepts=accepts)
    verdict = judge(named, budget, table, baseline)
    if exponents:
        verdict = judge_scaling(verdict, exponents, points, last=measurement is points[-1][1])
    # Comparing decodes the entry of the baseline, so it is done only where a metric has changed.
    changed = any(check.before not in (None, check.value) for check in verdict.checks)
    why = differences(_measurement_of(before, named), named) if before and changed else ()
    return Measured(verdict, named, measurement.name, why, module)


def _baseline(before: LockedModel | None, now: Measurement, budget: Budget, *, accepts: bool) -> Baseline:
    """Return what the baseline says of a measurement: of one in another mode only what does not depend on the mode."""
    if before is None:
        return Baseline(accepts=accepts)
    mode, metrics, modules = other_mode(before.ran_in, before.metrics, now), before.metrics, dict[str, Costs]()
    if any(part.growths for part in budget.parts.values()):
        modules = {module.name: module.total for module in _measurement_of(before, now).modules.walk()}
    if mode is not None:
        metrics = {metric: value for metric, value in metrics.items() if not METRICS[metric].runs}
        runs = dict.fromkeys(needing("forward", "backward"))
        modules = {name: structs.replace(costs, **runs) for name, costs in modules.items()}
    return Baseline(metrics, accepts, modules, mode)


def _named(measurement: Measurement, declared: Sequence[Rules]) -> Measurement:
    """Return ``measurement`` under the name that marks and call give it."""
    names = [rules.name for rules in declared if rules.name and rules.selects(measurement.name, rules.name)]
    return structs.replace(measurement, name=names[-1], named=True) if names else measurement


def _measurement_of(before: LockedModel, now: Measurement) -> Measurement:
    """Return what the baseline holds as a measurement: decoding it takes time, so it is done only where it is read."""
    return before.measurement(now.name, now.flops_per_mac)
