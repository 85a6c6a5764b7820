"""What stands in the row of a model: its name, its cells, and the words for its status."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from pytest_modelbudget.budgets import Check, Problem, Verdict
from pytest_modelbudget.measurement import human, percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import change_in_percent
from pytest_modelbudget.reports.lines import is_less
from pytest_modelbudget.reports.wording import STATUS, beyond, compared, excess, words_for_inputs
from pytest_modelbudget.results import ModelResult, Run

COLUMNS = tuple(name for name, metric in METRICS.items() if metric.column)


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the run; ``contradicted`` tells that another model has its name, at the same inputs.

    ``name`` tells it from the others, and ``inputs`` are the words for its inputs.
    """

    result: ModelResult
    name: str
    inputs: str = ""
    contradicted: bool = False

    @property
    def verdict(self) -> Verdict:
        """The verdict over all tests."""
        return self.result.verdict

    @property
    def problem(self) -> Problem | None:
        """The worst problem."""
        return next(iter(self.verdict.problems), None)

    @property
    def fails(self) -> bool:
        """Whether an error is left that ``xfail`` did not expect, or another model has the name."""
        return self.contradicted or self.result.fails

    @property
    def colour(self) -> str:
        """The colour of the status."""
        if self.fails:
            return "red"
        if self.problem is None:
            return "green" if self.verdict.budgeted else ""
        return "yellow"


def rows_of(run: Run, encoding: str = "utf-8") -> list[Row]:
    """Return a row for each model, called by its inputs too where a name has several, in letters of ``encoding``."""
    words = words_for_inputs(run.models)
    several = Counter(name for name, _ in words)
    contradicted = {place for pair in run.contradicting for place in pair}
    rows = []
    for place, result in enumerate(run.models):
        inputs = words[result.name, result.inputs]
        name = f"{result.name} ({inputs})" if several[result.name] > 1 else result.name
        shown = name.encode(encoding, "backslashreplace").decode(encoding)
        rows.append(Row(result, shown, inputs, place in contradicted))
    return rows


def others(verdict: Verdict) -> list[str]:
    """Return the metrics without a column that somebody asked for: with a limit, or by measuring a backward pass."""
    return [
        check.metric
        for check in verdict.checks
        if check.metric not in COLUMNS and (check.limit or check.warn or METRICS[check.metric].needs == "backward")
    ]


def limited_parts(verdict: Verdict) -> list[str]:
    """Return a line for each limit on modules: value and limit of the module that has the least left, of how many."""
    alike: dict[tuple[str, str, str], list[Check]] = {}
    for check in verdict.parts:
        if check.limit is not None and check.module is not None:
            shape = re.sub(r"\d+", "*", check.module)
            alike.setdefault((shape, check.metric, check.limit.text), []).append(check)
    lines = []
    for checks in alike.values():
        worst = max(checks, key=lambda check: check.value or 0)
        value, limit = compared(worst.metric, worst.value, worst.limit) if worst.limit else ("", "")
        name = worst.module or "the model"
        of = f", the most of {len(checks):,} alike" if len(checks) > 1 else ""
        lines.append(f"{name} {METRICS[worst.metric].label} {value} / {limit}{of}")
    return lines


def cell(verdict: Verdict, metric: str) -> str:
    """Return the value of a metric, how far it moved, and its limit."""
    check = next((one for one in verdict.checks if one.metric == metric), None)
    if check is None:
        return "-"
    moved = check.before is not None and check.value is not None and check.before != check.value
    change = f" ({change_in_percent(check.before or 0, check.value or 0)})" if moved else ""
    if check.limit is None:
        return human(check.value, metric) + change
    value, limit = compared(metric, check.value, check.limit)
    return f"{value}{change} / {limit}"


def status(model: Row, *, brief: bool) -> str:
    """Return the words for the worst problem of a model."""
    problem = model.problem
    if model.contradicted:
        return "CONTRADICTED"
    if problem is None:
        return _fine(model.verdict)
    if problem.is_excess:
        return _excess(model, brief=brief)
    if problem.kind == "warned":
        return f"warn, above {problem.limit.text}" if problem.limit else "warn"
    if problem.severity == "error":
        return STATUS[problem.kind].upper()
    return f"warn, {STATUS[problem.kind]}" if problem.kind == "unbudgeted" else STATUS[problem.kind]


def _fine(verdict: Verdict) -> str:
    new = verdict.baseline == "new" and verdict.named
    if not verdict.budgeted:
        return "new" if new else "no budget"
    return f"ok{_least_room(verdict)}{', new' if new else ', less' if is_less(verdict) else ''}"


def _excess(model: Row, *, brief: bool) -> str:
    over = model.verdict.over
    worst = max(over, key=_excess_in_relation)
    share = percent(*beyond(worst)) or human(beyond(worst)[0], worst.metric)
    by = share if brief else excess(worst)
    word = "GREW" if all(problem.kind == "grown" for problem in over) else "OVER"
    text = f"{word} in {len(over)}, {share}" if len(over) > 1 else f"{word} by {by}"
    return text + (", xfail" if model.result.excused else "")


def _excess_in_relation(problem: Problem) -> float:
    over, limit = beyond(problem)
    return over / limit if limit else float("inf")


def _least_room(verdict: Verdict) -> str:
    check = tightest(verdict)
    return f", {room(check)}" if check else ""


def tightest(verdict: Verdict) -> Check | None:
    """Return the check of which the least is left, if the model has any limit."""
    checks = (*verdict.checks, *verdict.parts)
    limited = [check for check in checks if check.limit is not None and check.value is not None]
    return min(limited, key=left_in_relation, default=None)


def left_in_relation(check: Check) -> float:
    """Return which part of its limit a check has left."""
    assert check.limit is not None
    assert check.value is not None
    return (check.limit.value - check.value) / check.limit.value if check.limit.value else 0.0


def room(check: Check) -> str:
    """Return what is left of a limit, for people."""
    assert check.limit is not None
    assert check.value is not None
    left = check.limit.value - check.value
    return f"{percent(left, check.limit.value)} left" if left else "at the limit"
