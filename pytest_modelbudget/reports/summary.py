"""The summary at the end of a run: one row a model, held against its budget."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_modelbudget.budgets import MetricVerdict, Verdict
from pytest_modelbudget.measurement import METRICS, human
from pytest_modelbudget.reports.wording import LABELS, compared, convention, counted, excess, percent

_ALWAYS = ("params", "macs", "flops")
_NARROWEST_NAME = 12
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen: plain text, then a status in a colour."""

    text: str
    status: str = ""
    colour: str = ""


def summary(verdicts: Sequence[Verdict], width: int, verbosity: int = 0) -> list[Line]:
    """Return the summary of all models for a screen of ``width`` columns, or nothing where there is nothing to say.

    Below zero ``verbosity`` leaves the rows that are not as they should be, above zero it adds the module trees.
    Nothing is cut: a name too long for its column gets a line of its own, and where the columns do not fit either,
    every model gets one line per metric.
    """
    shown = [verdict for verdict in verdicts if verbosity >= 0 or not _fine(verdict)]
    if not shown:
        return []
    metrics = [metric for metric in METRICS if metric in _ALWAYS or _is_worth_a_column(shown, metric)]
    grid = [[_cell(verdict, metric) for metric in metrics] for verdict in shown]
    statuses = [_status(verdict) for verdict in shown]
    widths = [
        max(len(text) for text in (LABELS[metric], *column))
        for metric, column in zip(metrics, zip(*grid, strict=True), strict=True)
    ]
    room = width - sum(len(_GAP) + column for column in widths) - len(_GAP) - max(map(len, statuses))
    if room >= min(_NARROWEST_NAME, max(len(verdict.model) for verdict in shown)):
        lines = list(_table(shown, metrics, grid, statuses, widths, room))
    else:
        lines = list(_stack(shown, metrics, statuses, width))
    if verbosity > 0:
        lines += [Line(line) for verdict in shown if verdict.tree for line in ("", *verdict.tree.splitlines())]
        lines += [Line("")]
    return [*lines, *_footer(verdicts, width)]


def _fine(verdict: Verdict) -> bool:
    return verdict.status == "within" or (verdict.status == "unbudgeted" and verdict.unbudgeted == "report")


def _is_worth_a_column(verdicts: Iterable[Verdict], metric: str) -> bool:
    """Tell whether anyone asked for a metric: by measuring a backward pass, or with a limit."""
    found = [one for verdict in verdicts for one in verdict.metrics if one.metric == metric]
    return any(one.limit or one.warn for one in found) or (metric.startswith("training") and bool(found))


def _cell(verdict: Verdict, metric: str) -> str:
    judged = next((one for one in verdict.metrics if one.metric == metric), None)
    if judged is None:
        return "-"
    if judged.limit is None:
        return human(judged.value, metric)
    return " / ".join(compared(metric, judged.value, judged.limit))


def _status(verdict: Verdict) -> str:
    if verdict.over:
        worst = max(verdict.over, key=_excess_in_relation)
        number = len(verdict.over)
        text = f"OVER by {excess(worst)}" if number == 1 else f"OVER in {number}, {_share(worst)}"
        return text + (", xfail" if verdict.excused else "")
    if verdict.unknown:
        return "LOWER BOUND" if verdict.unknown_ops == "error" else "lower bound"
    if verdict.warned:
        worst = max(verdict.warned, key=lambda metric: metric.value or 0)
        return f"warn, above {worst.warn.text}" if worst.warn else "warn"
    if verdict.unchecked:
        return "NOT MEASURED"
    if not verdict.budgeted:
        return {"report": "no budget", "warn": "warn, no budget", "error": "NO BUDGET"}[verdict.unbudgeted]
    return f"ok{_least_room(verdict)}"


def _excess_in_relation(metric: MetricVerdict) -> float:
    assert metric.value is not None
    assert metric.limit is not None
    return metric.value / metric.limit.value if metric.limit.value else float("inf")


def _share(metric: MetricVerdict) -> str:
    assert metric.value is not None
    assert metric.limit is not None
    return percent(metric.value - metric.limit.value, metric.limit.value) or "limit 0"


def _least_room(verdict: Verdict) -> str:
    rooms = [
        (metric.limit.value - metric.value, metric.limit.value)
        for metric in verdict.metrics
        if metric.limit is not None and metric.value is not None
    ]
    if not rooms:
        return ""
    left, limit = min(rooms, key=lambda room: room[0] / room[1] if room[1] else 0)
    return f", {percent(left, limit)} left" if left else ", at the limit"


def _colour(verdict: Verdict) -> str:
    if _fine(verdict):
        return "green" if verdict.budgeted else ""
    failing = (
        (verdict.over and not verdict.excused)
        or (verdict.unknown and verdict.unknown_ops == "error")
        or verdict.unchecked
        or (not verdict.budgeted and verdict.unbudgeted == "error")
    )
    return "red" if failing else "yellow"


def _table(
    verdicts: Sequence[Verdict],
    metrics: Sequence[str],
    grid: Sequence[Sequence[str]],
    statuses: Sequence[str],
    widths: Sequence[int],
    room: int,
) -> Iterator[Line]:
    fitting = [len(verdict.model) for verdict in verdicts if len(verdict.model) <= room]
    first = max([len("model"), *fitting])

    def joined(name: str, cells: Iterable[str]) -> str:
        padded = (cell.ljust(column) for cell, column in zip(cells, widths, strict=True))
        return _GAP.join([name.ljust(first), *padded, ""])

    yield Line(joined("model", (LABELS[metric] for metric in metrics)) + "status")
    for verdict, cells, status in zip(verdicts, grid, statuses, strict=True):
        name = verdict.model
        if len(name) > first:
            yield Line(name)
            name = ""
        yield Line(joined(name, cells), status, _colour(verdict))


def _stack(verdicts: Sequence[Verdict], metrics: Sequence[str], statuses: Sequence[str], width: int) -> Iterator[Line]:
    """Yield one line per metric, for screens on which the table has no room."""
    label = max(len(LABELS[metric]) for metric in metrics)
    for verdict, status in zip(verdicts, statuses, strict=True):
        name = f"{verdict.model}{_GAP}"
        if len(name) + len(status) <= width:
            yield Line(name, status, _colour(verdict))
        else:
            yield Line(verdict.model)
            yield Line(_GAP, status, _colour(verdict))
        for metric in metrics:
            cell = _cell(verdict, metric)
            if cell != "-":
                yield Line(f"{_GAP}{LABELS[metric].ljust(label)}{_GAP}{cell}")


def _footer(verdicts: Sequence[Verdict], width: int) -> Iterator[Line]:
    over = [verdict for verdict in verdicts if verdict.over]
    bare = sum(not verdict.budgeted for verdict in verdicts)
    number = counted(len(verdicts), "model")
    if over:
        text = f"{len(over)} of {number} over budget"
    elif bare:
        text = f"{len(verdicts) - bare} of {number} within budget"
    else:
        text = f"{number} within budget"
    conventions = sorted({convention(verdict.flops_per_mac) for verdict in verdicts})
    text += f", {counted(bare, 'model')} without a budget" if bare else ""
    text += f" ({', '.join(conventions)})."
    places = dict.fromkeys(str(metric.limit.place) for verdict in over for metric in verdict.over if metric.limit)
    if places:
        text += f" Limits: {', '.join(places)}"
    wrapped = textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    yield from map(Line, wrapped)
