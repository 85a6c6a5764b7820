"""Two sets of measurements side by side, as text."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from pytest_modelbudget.measurement import Measurement, human, signed_percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.markdown import escaped
from pytest_modelbudget.reports.wording import counted
from pytest_modelbudget.results.comparing import Comparison
from pytest_modelbudget.results.standings import words_for_inputs

_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.column)


def as_text(comparisons: Sequence[Comparison]) -> str:
    """Return the models that differ, where they changed, and how many are the same."""
    told = [one for one in comparisons if one.kind != "same"]
    rows = [(_name(one), one.kind, *(_cell(one, metric) for metric in _COLUMNS)) for one in told]
    lines = []
    if rows:
        headings = ("model", "", *(METRICS[metric].label for metric in _COLUMNS))
        lines += tabulate(rows, headings, tablefmt="plain", disable_numparse=True).splitlines()
    for one in told:
        lines += ["", _name(one), *(f"  {cause}" for cause in why(one.causes))] if one.causes else []
    same = len(comparisons) - len(told)
    lines += ["", f"{counted(same, 'model')} unchanged"] if same or not told else []
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


def side_by_side(found: Sequence[Measurement]) -> str:
    """Return measurements as a table of Markdown, each with its inputs and every metric that was measured."""
    metrics = [metric for metric in METRICS if any(getattr(one, metric) is not None for one in found)]
    words = words_for_inputs(found)
    rows = [
        (escaped(one.name), words[one.name, one.inputs], *(human(getattr(one, metric), metric) for metric in metrics))
        for one in found
    ]
    headings = ("model", "inputs", *(METRICS[metric].label for metric in metrics))
    return tabulate(rows, headings, tablefmt="pipe", disable_numparse=True)


def _name(one: Comparison) -> str:
    return f"{one.name} ({', '.join(one.inputs)})" if one.inputs else one.name


def _cell(one: Comparison, metric: str) -> str:
    before, after = one.before.get(metric), one.after.get(metric)
    if before is None or after is None or before == after:
        return human(before if after is None else after, metric)
    return f"{human(before, metric)} -> {human(after, metric)} ({signed_percent(before, after)})"
