"""Measure for a test, and hold a measurement against the budget that table, marks and call declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

from msgspec import structs

from pytest_modelbudget.budgets import (
    Baseline,
    Budget,
    BudgetError,
    BudgetExceeded,
    Exponent,
    Rules,
    budget_for,
    judge,
    judge_scaling,
)
from pytest_modelbudget.measurement import Measurement, OperatorCost
from pytest_modelbudget.reports.message import failure
from pytest_modelbudget.results.baseline import LockedModel
from pytest_modelbudget.results.difference import differences
from pytest_modelbudget.session.one_test.record import Measured
from pytest_modelbudget.session.state import Session


def engine(session: Session) -> ModuleType:
    """Return what measures, with the formulas that the project's hooks give. Raises BudgetError for wrong ones."""
    from pytest_modelbudget import counting

    if not session.knows_formulas:
        try:
            for formulas in session.config.hook.pytest_modelbudget_formulas():
                if not isinstance(formulas, dict):
                    kind = type(formulas).__name__
                    raise BudgetError(f'pytest_modelbudget_formulas returned {kind}; return a dict {{"ns::op": f}}')
                for operator, formula in formulas.items():
                    counting.formula(operator)(formula)
        except BudgetError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise BudgetError(f"the hook pytest_modelbudget_formulas failed: {kind}: {error}") from error
        session.knows_formulas = True
    return counting


def budget_of(session: Session, measurement: Measurement, rules: Sequence[Rules]) -> Budget:
    """Return the budget for a measurement: the limits of the table, and those of marks and call."""
    return budget_for(session.table, (_named(measurement, rules).name, measurement.name), rules)


def judged(
    session: Session,
    measurement: Measurement,
    rules: Sequence[Rules],
    *,
    exponents: Mapping[str, Exponent] | None = None,
    points: Sequence[tuple[int, Measurement]] = (),
    module: int = 0,
) -> Measured:
    """Hold a measurement against its budget and the baseline, and the growth over ``points`` against exponents.

    ``module`` numbers the module objects that a test calls.
    """
    named, budget = _named(measurement, rules), budget_of(session, measurement, rules)
    baseline, before = _baseline(session, named, budget)
    verdict = judge(named, budget, session.table, baseline)
    if exponents:
        verdict = judge_scaling(verdict, exponents, points, last=measurement is points[-1][1])
    changed = any(check.before not in (None, check.value) for check in verdict.checks)
    changes = differences(before.measurement(named.name, named.flops_per_mac), named) if before and changed else ()
    return Measured(verdict, named, measurement.name, changes, module)


def _named(measurement: Measurement, declared: Sequence[Rules]) -> Measurement:
    """Return ``measurement`` under the name that marks and call give it."""
    names = [rules.name for rules in declared if rules.name and rules.selects(measurement.name, rules.name)]
    return structs.replace(measurement, name=names[-1], named=True) if names else measurement


def _baseline(session: Session, measurement: Measurement, budget: Budget) -> tuple[Baseline | None, LockedModel | None]:
    """Return what the project's baseline says of a measurement, if there is one, and what it holds of it."""
    if session.lock is None:
        return None, None
    before = session.lock.find(measurement) if measurement.named else None
    baseline = Baseline(
        before.metrics if before else {}, accepts=session.config.getoption("modelbudget_update") == "all"
    )
    if before and any(part.growths for part in budget.parts.values()):  # only they ask for modules, which costs time
        modules = before.measurement(measurement.name, measurement.flops_per_mac).modules
        baseline = structs.replace(baseline, modules={module.name: module.total for module in modules.walk()})
    return baseline, before


def failure_of(measured: Sequence[Measured], outside: Sequence[OperatorCost] = ()) -> Exception | None:
    """Return the failure for what was judged, or ``None`` where no verdict has an error.

    ``outside`` are the operators that ran outside of any module.
    """
    verdicts = tuple(found.verdict for found in measured)
    if not any(verdict.errors for verdict in verdicts):
        return None
    message = failure([(found.verdict, found.measurement, found.differences) for found in measured], outside)
    over = any(verdict.excusable for verdict in verdicts)
    return BudgetExceeded(message, verdicts) if over else BudgetError(message)
