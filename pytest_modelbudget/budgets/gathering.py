"""Bring the verdicts of many tests together: one row a model, whatever worker or order they came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_modelbudget.budgets.judging import MetricVerdict, Verdict
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.measurement import METRICS


@dataclass(frozen=True, slots=True)
class Row:
    """One model as every test measured it that agrees about its numbers; limits are the tightest that apply."""

    verdict: Verdict
    tests: tuple[str, ...]


def gather(verdicts: Mapping[str, Iterable[Verdict]]) -> list[Row]:
    """Return the rows for the verdicts of each test (by node id), in the order of the node ids.

    Measurements under one name share a row where they do not contradict each other: one without inputs joins the one
    that ran, another batch size does not.
    """
    rows: list[Row] = []
    for test in sorted(verdicts, key=_natural):
        for verdict in verdicts[test]:
            place = next((index for index, row in enumerate(rows) if _agree(row.verdict, verdict)), None)
            if place is None:
                rows.append(Row(verdict, (test,)))
            else:
                known = rows[place]
                rows[place] = Row(_merged(known.verdict, verdict), tuple(dict.fromkeys((*known.tests, test))))
    return rows


def conflicts(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Return the pairs of rows whose users gave one name to two different measurements."""
    first: dict[str, Row] = {}
    found = []
    for row in rows:
        if row.verdict.named and first.setdefault(row.verdict.model, row) is not row:
            found.append((first[row.verdict.model], row))
    return found


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort ``test[9]`` before ``test[10]``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def _values(verdict: Verdict) -> dict[str, int]:
    return {metric.metric: metric.value for metric in verdict.metrics if metric.value is not None}


def _agree(one: Verdict, other: Verdict) -> bool:
    if (one.model, one.named, one.flops_per_mac) != (other.model, other.named, other.flops_per_mac):
        return False
    mine, theirs = _values(one), _values(other)
    return all(mine[metric] == theirs[metric] for metric in mine.keys() & theirs.keys())


def _merged(one: Verdict, other: Verdict) -> Verdict:
    mine = {metric.metric: metric for metric in one.metrics}
    theirs = {metric.metric: metric for metric in other.metrics}
    metrics = tuple(
        _merged_metric(mine.get(name), theirs.get(name)) for name in METRICS if name in mine or name in theirs
    )
    over = [verdict for verdict in (one, other) if verdict.over]
    return replace(
        one,
        metrics=metrics,
        unknown=one.unknown or other.unknown,
        message=one.message or other.message,
        excused=bool(over) and all(verdict.excused for verdict in over),
        tree=max(one.tree, other.tree, key=len),
    )


def _merged_metric(one: MetricVerdict | None, other: MetricVerdict | None) -> MetricVerdict:
    if one is None or other is None:
        return one or other  # type: ignore[return-value]  # one of the two exists
    value = other.value if one.value is None else one.value
    return MetricVerdict(one.metric, value, _tightest(one.limit, other.limit), _tightest(one.warn, other.warn))


def _tightest(one: Limit | None, other: Limit | None) -> Limit | None:
    if one is None or other is None:
        return one or other
    return other if other.value < one.value else one
