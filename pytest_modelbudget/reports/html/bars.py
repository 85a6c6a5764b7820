"""Budgets as bars: what is used, the limit, the warning and the baseline, on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pytest_modelbudget.budgets.status import Finding, Level
from pytest_modelbudget.measurement import exactly, signed_percent
from pytest_modelbudget.reports.wording import bounded, numbers
from pytest_modelbudget.results.standings import Standing

State = Literal["bad", "warn", "good", "plain"]
"""A colour of the page."""

STATES: Final[Mapping[Level, State]] = {"error": "bad", "warning": "warn", "good": "good", "plain": "plain"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One metric against its budget; positions are percent of the width."""

    label: str
    value: str
    before: str
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
    state: State
    warn: str
    before: str
    growth: str
    place: str


def bars(one: Standing) -> list[Bar]:
    """Return a bar for each metric that tells something; the modules of one pattern are one, with the worst."""
    return [_bar(found, one) for found in one.notable]


def table(one: Standing) -> list[Exact]:
    """Return what was found of each metric, and what it was held against."""
    return [_exact(found, one) for found in one.findings]


def _state(found: Finding, one: Standing) -> State:
    if found.over or found.grown:
        return "warn" if one.status.kind == "expected" else "bad"
    if found.value is None:
        return "bad" if found.limit else "plain"
    if found.warned or found.is_lower_bound:
        return "warn"
    return "good" if found.limit or found.worst.warn or found.moved else "plain"


def _note(found: Finding) -> str:
    """Return how a metric stands: what is left, or by how much it is over, and its way from the baseline."""
    if found.value is None:
        return "not measured"
    parts = [f"over by {found.excess}"] if found.over else [found.left] if found.left else []
    if found.warned and found.worst.warn:
        parts.append(f"above the warning at {found.worst.warn.text}")
    if found.moved:
        parts.append(f"{signed_percent(found.before or 0, found.value)} since the baseline")
    if found.differ:
        parts.append(f"worst: {found.worst.module}")
    return ", ".join(parts)


def _bar(found: Finding, one: Standing) -> Bar:
    check, value = found.worst, found.value or 0
    line = check.limit.value if check.limit else check.allowed
    marks = [value, line or 0, check.warn.value if check.warn else 0, check.before or 0]
    scale = max(marks) or 1

    def at(number: int) -> str:
        return f"{96 * number / scale:.2f}"

    shown, limit, before = numbers(check.metric, check.value, check.limit, check.before if found.moved else None)
    within = value if line is None else min(value, line)
    return Bar(
        label=found.label,
        value=bounded(found, shown).replace(">=", "≥"),
        before=before,
        limit=limit,
        note=_note(found),
        state=_state(found, one),
        used=at(within),
        over=at(value - within),
        limit_at=None if line is None else at(line),
        warn_at=at(check.warn.value) if check.warn else None,
        before_at=None if check.before is None else at(check.before),
    )


def _exact(found: Finding, one: Standing) -> Exact:
    check, metric = found.worst, found.metric
    place = check.limit or check.warn
    return Exact(
        label=found.label,
        value=exactly(check.value, metric),
        limit=check.limit.text if check.limit else "",
        state=_state(found, one),
        warn=check.warn.text if check.warn else "",
        before="" if check.before is None else exactly(check.before, metric),
        growth=_growth(found),
        place=str(place.place) if place else "",
    )


def _growth(found: Finding) -> str:
    check = found.worst
    if check.growth is None or check.allowed is None:
        return ""
    rises = check.allowed != check.before
    return check.growth.text + (f", up to {exactly(check.allowed, check.metric)}" if rises else "")
