"""Budgets as bars: what is used, the limit, the warning and the baseline, on one scale."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_modelbudget.budgets import Check
from pytest_modelbudget.measurement import exactly, human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import change_in_percent, telling
from pytest_modelbudget.reports.html.status import State
from pytest_modelbudget.reports.rows import left_in_relation, room
from pytest_modelbudget.reports.wording import compared, excess
from pytest_modelbudget.results import ModelResult


@dataclass(frozen=True, slots=True)
class Bar:
    """One metric against its budget; positions are percent of the width."""

    label: str
    value: str
    limit: str
    note: str
    state: State
    used: str
    over: str
    limit_at: str | None
    warn_at: str | None
    before_at: str | None


@dataclass(frozen=True, slots=True)
class Exact:
    """One metric in the table of budgets, with every digit."""

    label: str
    value: str
    limit: str
    note: str
    state: State
    warn: str
    before: str
    growth: str
    place: str


def bars(model: ModelResult) -> list[Bar]:
    """Return a bar for each metric that is limited, or has moved since the baseline by itself."""
    follows = {one.metric for one in model.differences} - {one.metric for one in telling(model.differences)}
    whole = [
        check
        for check in model.verdict.checks
        if check.limit or check.warn or (_is_held(check) and check.metric not in follows)
    ]
    return [_bar(check, model) for check in (*whole, *_parts_to_show(model))]


def table(model: ModelResult) -> list[Exact]:
    """Return what was found of each metric, and what it was held against."""
    return [_exact(check, model) for check in (*model.verdict.checks, *model.verdict.parts)]


def _parts_to_show(model: ModelResult) -> list[Check]:
    """Return the checks of parts that have a problem, and the one with the least left; the table has them all."""
    wrong = {problem.subject for problem in model.verdict.problems}
    limited = [check for check in model.verdict.parts if check.limit is not None and check.value is not None]
    tightest = min(limited, key=left_in_relation, default=None)
    return [check for check in model.verdict.parts if check.subject in wrong or check is tightest]


def _label(check: Check) -> str:
    label = METRICS[check.metric].label
    return label if check.module is None else f"{check.module or 'the model'} {label}"


def _is_held(check: Check) -> bool:
    return bool(check.limit or check.warn or check.before not in (None, check.value))


def _state(check: Check, model: ModelResult) -> State:
    kinds = {problem.kind for problem in model.verdict.problems if problem.subject == check.subject}
    if kinds & {"over", "grown"}:
        return "warn" if model.excused else "bad"
    if "not_measured" in kinds:
        return "bad"
    return "warn" if "warned" in kinds else "good" if _is_held(check) else "plain"


def _note(check: Check, model: ModelResult) -> str:
    """Return how a metric stands: what is left, or by how much it is over, and its way from the baseline."""
    found = {problem.kind: problem for problem in model.verdict.problems if problem.subject == check.subject}
    if check.value is None:
        return "not measured"
    parts = []
    if "over" in found:
        parts.append(f"over by {excess(found['over'])}")
    elif check.limit:
        parts.append(room(check))
    if check.warn and check.value > check.warn.value and "over" not in found:
        parts.append(f"above the warning at {check.warn.text}")
    if "grown" in found:
        parts.append(f"grew by {excess(found['grown'])}")
    elif check.before not in (None, check.value):
        parts.append(f"{change_in_percent(check.before or 0, check.value)} since the baseline")
    return ", ".join(parts)


def _bar(check: Check, model: ModelResult) -> Bar:
    value = check.value or 0
    line = check.limit.value if check.limit else check.allowed
    marks = [value, line or 0, check.warn.value if check.warn else 0, check.before or 0]
    scale = max(marks) or 1

    def at(number: int) -> str:
        return f"{96 * number / scale:.2f}"

    within = value if line is None else min(value, line)
    shown, limit = compared(check.metric, check.value, check.limit) if check.limit else (_human(check), "")
    return Bar(
        label=_label(check),
        value=shown,
        limit=limit,
        note=_note(check, model),
        state=_state(check, model),
        used=at(within),
        over=at(value - within),
        limit_at=None if line is None else at(line),
        warn_at=at(check.warn.value) if check.warn else None,
        before_at=None if check.before is None else at(check.before),
    )


def _exact(check: Check, model: ModelResult) -> Exact:
    metric = check.metric
    place = check.limit or check.warn
    return Exact(
        label=_label(check),
        value=exactly(check.value, metric),
        limit=check.limit.text if check.limit else "",
        note=_note(check, model),
        state=_state(check, model),
        warn=check.warn.text if check.warn else "",
        before="" if check.before is None else exactly(check.before, metric),
        growth=_growth(check),
        place=str(place.place) if place else "",
    )


def _growth(check: Check) -> str:
    if check.growth is None or check.allowed is None:
        return ""
    rises = check.allowed != check.before
    return check.growth.text + (f", up to {exactly(check.allowed, check.metric)}" if rises else "")


def _human(check: Check) -> str:
    return human(check.value, check.metric)
