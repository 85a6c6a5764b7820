"""Hold a measurement against its budget. This is the only place that decides whether something fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct, structs

from pytest_modelbudget.budgets.config import Table
from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.merging import Budget
from pytest_modelbudget.budgets.parts import checks_of_parts
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.scaling import Exponent, scaling_of
from pytest_modelbudget.budgets.verdicts import Check, Problem, Severity, Verdict
from pytest_modelbudget.measurement import Costs, Measurement, Mode
from pytest_modelbudget.metrics import METRICS


class BudgetExceeded(AssertionError):  # noqa: N818 - the public name of the failure says what happened
    """A model costs more than its budget allows; ``verdicts`` holds what was judged, over or not.

    This is the only failure of the plugin that ``xfail`` excuses.
    """

    __module__ = "pytest_modelbudget"  # where it is imported from

    def __init__(self, message: str, verdicts: tuple[Verdict, ...] = ()) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class Baseline(Struct, frozen=True):
    """What the project's baseline says of a model; ``before`` is empty for a model that it does not hold.

    ``modules`` has what its modules cost, by their names, where growth of a part is limited. ``accepts`` tells that
    this run rewrites it, so that nothing is held against it. ``mode`` is set where the model ran in another one.
    """

    before: Mapping[str, int] = {}
    accepts: bool = False
    modules: Mapping[str, Costs] = {}
    mode: Mode | None = None


def judge(
    measurement: Measurement, budget: Budget, table: Table | None = None, baseline: Baseline | None = None
) -> Verdict:
    """Return the verdict on ``measurement`` under ``budget``, the policies of ``table``, and the ``baseline``."""
    checks = tuple(_checks(measurement, budget, baseline or Baseline()))
    accepts = baseline is not None and baseline.accepts
    # What is accepted in this run stands in the baseline when it ends.
    in_baseline = baseline is not None and (bool(baseline.before) or (accepts and measurement.named))
    known: Literal["none", "new", "known"] = "none" if baseline is None else "known" if in_baseline else "new"
    verdict = Verdict(
        measurement.name,
        measurement.named,
        checks,
        (),
        measurement.inputs,
        budget.message,
        baseline=known,
        mode=measurement.mode,
        ranks=measurement.ranks,
        mode_before=None if baseline is None else baseline.mode,
    )
    parts, unmatched = checks_of_parts(measurement, budget.parts, (baseline or Baseline()).modules)
    verdict = structs.replace(verdict, parts=parts)
    problems = [*_excesses((*checks, *parts), accepts=accepts), *unmatched]
    problems += _others(verdict, measurement, table or Table(), accepts=accepts)
    return structs.replace(verdict, problems=in_order(problems))


def judge_scaling(
    verdict: Verdict, exponents: Mapping[str, Exponent], points: Sequence[tuple[int, Measurement]], *, last: bool = True
) -> Verdict:
    """Return ``verdict`` with how the model grows over ``points``, by the size of its inputs.

    The problems belong to the ``last`` of them alone.
    """
    found = [*scaling_of(exponents, points)]
    problems = [problem for problem in verdict.problems if problem.kind != "unbudgeted"]  # the exponents are a budget
    problems += [problem for _, problem in found if problem is not None and last]
    return structs.replace(verdict, scaling=tuple(one for one, _ in found), problems=in_order(problems))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return ``problems`` as a verdict holds them: errors first, and the most telling kind first among equals."""
    return tuple(sorted(problems, key=_rank))


def _rank(problem: Problem) -> tuple[int, int]:
    kinds = (
        "over",
        "grown",
        "unknown_operators",
        "steeper",
        "not_measured",
        "no_module",
        "unbudgeted",
        "new",
        "warned",
    )
    return (0 if problem.severity == "error" else 1, kinds.index(problem.kind))


def _checks(measurement: Measurement, budget: Budget, baseline: Baseline) -> Iterator[Check]:
    for metric, value in measurement.values().items():
        limit, warn = budget.limits.get(metric), budget.warns.get(metric)
        is_kept = not METRICS[metric].is_of_file or budget.growths.get(metric) is not None
        before = baseline.before.get(metric) if value is not None and is_kept else None
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
                yield Problem("not_measured", "error", limit.place, check.metric, None, limit, module=check.module)
            continue
        if check.limit is not None and value > check.limit.value:
            yield Problem("over", "error", check.limit.place, check.metric, value, check.limit, module=check.module)
        elif check.warn is not None and value > check.warn.value:
            yield Problem("warned", "warning", check.warn.place, check.metric, value, check.warn, module=check.module)
        if check.growth is not None and check.allowed is not None and value > check.allowed and not accepts:
            place = check.growth.place if check.growth is not _NO_GROWTH else None
            yield Problem(
                "grown",
                "error",
                place,
                check.metric,
                value,
                before=check.before,
                growth=check.growth,
                module=check.module,
            )


def _others(verdict: Verdict, measurement: Measurement, policies: Table, *, accepts: bool) -> Iterator[Problem]:
    if measurement.unknown:
        severity: Severity = "error" if policies.unknown_ops == "error" else "warning"
        yield Problem("unknown_operators", severity, operators=measurement.unknown)
    if not verdict.budgeted and policies.unbudgeted != "report":
        yield Problem("unbudgeted", "error" if policies.unbudgeted == "error" else "warning")
    if verdict.baseline == "new" and policies.new == "error" and measurement.named and not accepts:
        yield Problem("new", "error")
