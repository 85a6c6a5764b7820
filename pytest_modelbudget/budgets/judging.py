"""Hold a measurement against its budget. This is the only place that decides whether something fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct, structs

from pytest_modelbudget.budgets.config import Table
from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.merging import Budget
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.measurement import Measurement, OperatorCost, TensorSpec

Kind = Literal["over", "grown", "unknown_operators", "not_measured", "unbudgeted", "new", "warned"]
Severity = Literal["error", "warning"]


class Check(Struct, frozen=True, omit_defaults=True):
    """One metric held against its limit, the threshold of its warning, and its baseline; all are inclusive.

    ``value`` is ``None`` where a limit applies to a metric that was not measured. ``before`` is the value in the
    baseline, ``growth`` how far it may rise above that, and ``allowed`` the largest value that this allows.
    """

    metric: str
    value: int | None = None
    limit: Limit | None = None
    warn: Limit | None = None
    before: int | None = None
    growth: Growth | None = None
    allowed: int | None = None


class Problem(Struct, frozen=True, omit_defaults=True):
    """Something that fails or warns, and the parts of the sentence that says so.

    ``limit`` is what ``value`` is above, or, where it is ``None``, what could not be checked: for ``warned`` the
    threshold of the warning. ``before`` is the baseline that ``grown`` is above, by more than ``growth``.
    ``operators`` are those without a formula that ran. ``place`` is where the rule behind the problem stands, if one
    does.
    """

    kind: Kind
    severity: Severity
    place: Place | None = None
    metric: str = ""
    value: int | None = None
    limit: Limit | None = None
    before: int | None = None
    growth: Growth | None = None
    operators: tuple[OperatorCost, ...] = ()

    @property
    def is_excess(self) -> bool:
        """Whether a metric is above what is allowed."""
        return self.kind in ("over", "grown")


class Verdict(Struct, frozen=True, omit_defaults=True):
    """The checks and problems of one measurement.

    A model's identity is its name and its ``inputs``; ``named`` tells a name that the user gave from the class.
    ``checks`` has every metric that was measured or limited, ``problems`` the errors before the warnings. ``message``
    is the project's note on its budget. ``baseline`` tells whether the project has a baseline, and this model in it.
    """

    model: str
    named: bool
    checks: tuple[Check, ...]
    problems: tuple[Problem, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    message: str | None = None
    baseline: Literal["none", "new", "known"] = "none"

    @property
    def budgeted(self) -> bool:
        """Whether any limit applies, or the model is in the baseline."""
        return self.baseline == "known" or any(check.limit or check.warn for check in self.checks)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that fail the test."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def over(self) -> tuple[Problem, ...]:
        """The problems that are excesses, which ``xfail`` may expect: over a limit, or grown beyond the baseline."""
        return tuple(problem for problem in self.problems if problem.is_excess)

    @property
    def unknown(self) -> tuple[OperatorCost, ...]:
        """The operators that have no formula; with any of them the values of compute are lower bounds."""
        return tuple(operator for problem in self.problems for operator in problem.operators)


class BudgetExceeded(AssertionError):  # noqa: N818 - the public name of the failure says what happened
    """A model costs more than its budget allows; ``verdicts`` holds what was judged, over or not.

    This is the only failure of the plugin that ``xfail`` excuses.
    """

    __module__ = "builtins"  # so that the short test summary has room for the message

    def __init__(self, message: str, verdicts: tuple[Verdict, ...] = ()) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class Baseline(Struct, frozen=True):
    """What the project's baseline says of a model; ``before`` is empty for a model that it does not hold.

    ``accepts`` tells that this run rewrites it, so that nothing is held against it.
    """

    before: Mapping[str, int] = {}
    accepts: bool = False


def judge(
    measurement: Measurement, budget: Budget, table: Table | None = None, baseline: Baseline | None = None
) -> Verdict:
    """Return the verdict on ``measurement`` under ``budget``, the policies of ``table``, and the ``baseline``."""
    checks = tuple(_checks(measurement, budget, baseline or Baseline()))
    known: Literal["none", "new", "known"] = "none" if baseline is None else "known" if baseline.before else "new"
    verdict = Verdict(
        measurement.name, measurement.named, checks, (), measurement.inputs, budget.message, baseline=known
    )
    problems = [*_excesses(checks, accepts=baseline is not None and baseline.accepts)]
    problems += _others(verdict, measurement, table or Table(), accepts=baseline is not None and baseline.accepts)
    return structs.replace(verdict, problems=in_order(problems))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return ``problems`` as a verdict holds them: errors first, and the most telling kind first among equals."""
    return tuple(sorted(problems, key=_rank))


def _rank(problem: Problem) -> tuple[int, int]:
    kinds = ("over", "grown", "unknown_operators", "not_measured", "unbudgeted", "new", "warned")
    return (0 if problem.severity == "error" else 1, kinds.index(problem.kind))


def _checks(measurement: Measurement, budget: Budget, baseline: Baseline) -> Iterator[Check]:
    for metric, value in measurement.values().items():
        limit, warn = budget.limits.get(metric), budget.warns.get(metric)
        before = None if value is None else baseline.before.get(metric)
        growth = None if before is None else budget.growths.get(metric, _NO_GROWTH)
        allowed = None if before is None or growth is None else growth.allowed(before, budget.floors.get(metric))
        if value is not None or limit or warn:
            # An exact int, whatever kind of integer was counted with: verdicts cross to other processes.
            yield Check(metric, None if value is None else int(value), limit, warn, before, growth, allowed)


_NO_GROWTH = Growth(0, 1, "0%", Place("", None, "the default"))


def _excesses(checks: Iterable[Check], *, accepts: bool) -> Iterator[Problem]:
    """Yield the checks that did not hold; growth is none where the baseline is being rewritten."""
    for check in checks:
        limit, value = check.limit or check.warn, check.value
        if value is None:
            if limit is not None:
                yield Problem("not_measured", "error", limit.place, check.metric, None, limit)
            continue
        if check.limit is not None and value > check.limit.value:
            yield Problem("over", "error", check.limit.place, check.metric, value, check.limit)
        elif check.warn is not None and value > check.warn.value:
            yield Problem("warned", "warning", check.warn.place, check.metric, value, check.warn)
        if check.growth is not None and check.allowed is not None and value > check.allowed and not accepts:
            place = check.growth.place if check.growth is not _NO_GROWTH else None
            yield Problem("grown", "error", place, check.metric, value, before=check.before, growth=check.growth)


def _others(verdict: Verdict, measurement: Measurement, policies: Table, *, accepts: bool) -> Iterator[Problem]:
    if measurement.unknown:
        severity: Severity = "error" if policies.unknown_ops == "error" else "warning"
        yield Problem("unknown_operators", severity, operators=measurement.unknown)
    if not verdict.budgeted and policies.unbudgeted != "report":
        yield Problem("unbudgeted", "error" if policies.unbudgeted == "error" else "warning")
    if verdict.baseline == "new" and policies.new == "error" and measurement.named and not accepts:
        yield Problem("new", "error")
