"""Two sets of measurements side by side, as text."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate
from wcwidth import ljust
from wcwidth import width as width_of

from pytest_modelbudget.measurement import Measurement, human, signed_percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.lines import GAP, Line
from pytest_modelbudget.reports.markdown import escaped
from pytest_modelbudget.reports.wording import counted
from pytest_modelbudget.results.comparing import Comparison
from pytest_modelbudget.results.standings import words_for_inputs

_COLOURS = {"grown": "red", "changed": "yellow", "shrunk": "green", "added": "", "removed": ""}
_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.column)


def as_lines(comparisons: Sequence[Comparison]) -> list[Line]:
    """Return the models that differ, where they changed, and how many are the same."""
    different = [comparison for comparison in comparisons if comparison.kind != "same"]
    rows = [(comparison.label, *(_cell(comparison, metric) for metric in _COLUMNS)) for comparison in different]
    headings = ("model", *(METRICS[metric].label for metric in _COLUMNS))
    texts = tabulate(rows, headings, tablefmt="plain", disable_numparse=True).splitlines() if rows else []
    room = max(map(width_of, texts), default=0)
    statuses = [("status", ""), *((comparison.kind, _COLOURS[comparison.kind]) for comparison in different)]
    lines = [Line(ljust(text, room) + GAP, *status) for text, status in zip(texts, statuses, strict=False)]
    for comparison in different:
        reasons = [*filter(None, [comparison.other_mode]), *why(comparison.causes)]
        lines += map(Line, ["", comparison.label, *(f"  {reason}" for reason in reasons)] if reasons else ())
    same = len(comparisons) - len(different)
    if same or not different:
        lines += map(Line, [*([""] if different else []), f"{counted(same, 'model')} unchanged"])
    return lines


def side_by_side(found: Sequence[Measurement]) -> str:
    """Return measurements as a table of Markdown, each with its inputs and every metric that was measured."""
    metrics = [metric for metric in METRICS if any(getattr(measured, metric) is not None for measured in found)]
    words = words_for_inputs(found)
    rows = [
        (
            escaped(measured.name),
            ", ".join(filter(None, [words[measured.name, measured.inputs], measured.mode])),
            *(human(getattr(measured, metric), metric) for metric in metrics),
        )
        for measured in found
    ]
    headings = ("model", "inputs", *(METRICS[metric].label for metric in metrics))
    return tabulate(rows, headings, tablefmt="pipe", disable_numparse=True)


def _cell(comparison: Comparison, metric: str) -> str:
    before, after = comparison.before.get(metric), comparison.after.get(metric)
    if before is None or after is None or before == after:
        return human(before if after is None else after, metric)
    return f"{human(before, metric)} -> {human(after, metric)} ({signed_percent(before, after)})"
