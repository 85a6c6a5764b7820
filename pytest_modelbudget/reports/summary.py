"""The summary at the end of a run: one row a model, held against its budget."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_modelbudget.budgets import MetricVerdict, Verdict
from pytest_modelbudget.measurement import TRAINING_METRICS, human
from pytest_modelbudget.reports.wording import LABELS, compared, convention, counted, excess, percent

_COLUMNS = ("params", "macs", "flops")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NARROWEST_NAME = 8
_GAP = "  "
_HEADINGS = [LABELS[metric] for metric in _COLUMNS]


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
    lines = _table(shown, width, brief=False) or _table(shown, width, brief=True) or _stack(shown, width)
    if verbosity > 0:
        lines += [Line(line) for verdict in shown if verdict.tree for line in ("", *verdict.tree.splitlines())]
        lines += [Line("")]
    return [*lines, *_footer(verdicts, width)]


def _fine(verdict: Verdict) -> bool:
    if verdict.unchecked:
        return False
    return verdict.status == "within" or (verdict.status == "unbudgeted" and verdict.unbudgeted == "report")


def _others(verdict: Verdict) -> list[str]:
    """Return the metrics without a column that somebody asked for: with a limit, or by measuring a backward pass."""
    return [
        one.metric
        for one in verdict.metrics
        if one.metric not in _COLUMNS and (one.limit or one.warn or one.metric in TRAINING_METRICS)
    ]


def _cell(verdict: Verdict, metric: str) -> str:
    judged = next((one for one in verdict.metrics if one.metric == metric), None)
    if judged is None:
        return "-"
    if judged.limit is None:
        return human(judged.value, metric)
    return " / ".join(compared(metric, judged.value, judged.limit))


def _status(verdict: Verdict, *, brief: bool) -> str:
    if verdict.over:
        worst = max(verdict.over, key=_excess_in_relation)
        number = len(verdict.over)
        text = (
            f"OVER in {number}, {_share(worst)}"
            if number > 1
            else f"OVER by {_share(worst) if brief else excess(worst)}"
        )
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
    over = metric.value - metric.limit.value
    return percent(over, metric.limit.value) or human(over, metric.metric)


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


def _table(verdicts: Sequence[Verdict], width: int, *, brief: bool) -> list[Line]:
    """Return one row a model, or nothing where the columns have no room."""
    grid = [[_cell(verdict, metric) for metric in _COLUMNS] for verdict in verdicts]
    statuses = [_status(verdict, brief=brief) for verdict in verdicts]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *grid, strict=True)]
    room = width - sum(len(_GAP) + column for column in widths) - len(_GAP) - max(map(len, statuses))
    if room < max(len("model"), min(_NARROWEST_NAME, max(len(verdict.model) for verdict in verdicts))):
        return []
    first = max(len("model"), *(len(verdict.model) * (len(verdict.model) <= room) for verdict in verdicts))

    def joined(name: str, cells: Iterable[str]) -> str:
        padded = (cell.ljust(column) for cell, column in zip(cells, widths, strict=True))
        return _GAP.join([name.ljust(first), *padded, ""])

    lines = [Line(joined("model", _HEADINGS) + "status")]
    for verdict, cells, status in zip(verdicts, grid, statuses, strict=True):
        fits = len(verdict.model) <= first
        lines += [] if fits else _wrapped(verdict.model, width)
        lines.append(Line(joined(verdict.model if fits else "", cells), status, _colour(verdict)))
        others = ", ".join(f"{LABELS[metric]} {_cell(verdict, metric)}" for metric in _others(verdict))
        lines += _wrapped(_GAP + others, width) if others else []
    return lines


def _stack(verdicts: Sequence[Verdict], width: int) -> list[Line]:
    """Return one line per metric, for screens on which the table has no room."""
    lines: list[Line] = []
    for verdict in verdicts:
        status = _status(verdict, brief=False)
        name = f"{verdict.model}{_GAP}"
        if len(name) + len(status) > width:
            lines += _wrapped(verdict.model, width)
            name = _GAP
        lines.append(Line(name, status, _colour(verdict)))
        metrics = [*_COLUMNS, *_others(verdict)]
        label = max(len(LABELS[metric]) for metric in metrics)
        cells = ((metric, _cell(verdict, metric)) for metric in metrics)
        for metric, cell in cells:
            lines += _wrapped(f"{_GAP}{LABELS[metric].ljust(label)}{_GAP}{cell}", width) if cell != "-" else []
    return lines


def _wrapped(text: str, width: int, *, break_words: bool = True) -> list[Line]:
    """Return ``text`` on as many lines as it needs, the further ones indented."""
    indent = text[: len(text) - len(text.lstrip())] + _GAP
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=break_words, break_on_hyphens=False)
    return [Line(line.replace(_NO_BREAK, " ")) for line in lines]


def _footer(verdicts: Sequence[Verdict], width: int) -> list[Line]:
    over = [verdict for verdict in verdicts if verdict.over and not verdict.excused]
    expected = sum(bool(verdict.over) and verdict.excused for verdict in verdicts)
    bounds = sum(verdict.status == "unknown" for verdict in verdicts)
    bare = sum(not verdict.budgeted and verdict.status != "unknown" for verdict in verdicts)
    number = counted(len(verdicts), "model")
    if over:
        parts = [f"{len(over)} of {number} over budget"]
    elif bare or expected or bounds:
        parts = [f"{len(verdicts) - bare - expected - bounds} of {number} within budget"]
    else:
        parts = [f"{number} within budget"]
    parts += [f"{bounds} with only a lower bound"] if bounds else []
    parts += [f"{expected} over as xfail expects"] if expected else []
    parts += [f"{bare} without a budget"] if bare else []
    conventions = sorted({convention(verdict.flops_per_mac) for verdict in verdicts})
    text = f"{', '.join(parts)} ({', '.join(conventions).replace(' ', _NO_BREAK)})."
    places = dict.fromkeys(str(metric.limit.place) for verdict in over for metric in verdict.over if metric.limit)
    if places:
        text += f" Limits: {', '.join(places)}"
    return _wrapped(text, width, break_words=False)
