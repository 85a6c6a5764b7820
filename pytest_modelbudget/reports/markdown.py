"""A run, or a comparison, in Markdown: for the summary of a workflow and the comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from tabulate import tabulate

from pytest_modelbudget.budgets import Check
from pytest_modelbudget.measurement import human, percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import because, change_in_percent, telling
from pytest_modelbudget.reports.faults import failed_tests, faults
from pytest_modelbudget.reports.footer import how_many, kind_of
from pytest_modelbudget.reports.heaviest import where_it_is
from pytest_modelbudget.reports.lines import not_measured
from pytest_modelbudget.reports.rows import Row, rows_of
from pytest_modelbudget.reports.wording import STATUS, compared, convention, counted, excess, has_moved, listed
from pytest_modelbudget.results import ModelResult, Run
from pytest_modelbudget.results.comparing import Comparison

LONGEST = 32_000
"""Characters: a comment on GitHub may have 65 536, and holds a run and a comparison."""

_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.column)


_SYNTAX = re.compile(r"[\\`*_{}\[\]#|~]")
_LINKED = re.compile(r"(?i)(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=[\w+-]+:)|(?<=:)(?=//)|(?<=\bwww)(?=\.)")
"""Where GitHub would begin a mention, the number of an issue, an emoji, or the address of a page."""


def escaped(text: str) -> str:
    """Return text as Markdown shows it, in a cell of a table too.

    GitHub links what it finds in the text that comes out, where no backslash is left: an empty comment keeps it apart.
    """
    for letter, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\n", " "), ("\r", " ")):
        text = text.replace(letter, name)
    text = _SYNTAX.sub(r"\\\g<0>", text)
    return _LINKED.sub("<!-- -->", text).replace("$", "<span>$</span>")


def of_run(run: Run, longest: int = LONGEST) -> str:
    """Return the Markdown of a run: the verdict, the models that are not as before, and why; the worst come first."""
    rows = sorted(rows_of(run), key=_badness)
    told = [row for row in rows if not _is_quiet(row)]
    tail = []
    for kind, words in (("within", "within budget and unchanged"), ("unbudgeted", "without a budget")):
        quiet = [row.result for row in rows if _is_quiet(row) and kind_of(row) == kind]
        tail += [f"{counted(len(quiet), 'model')} {words}: {_names(quiet)}.", ""] if quiet else []
    tail += [f"{convention(run.flops_per_mac)}.", *(["", f"{escaped(line)}."] if (line := not_measured(run)) else [])]
    models = [row.result for row in told]
    why = [_why(model.name, _reasons(model)) for model in models if model.differences or model.verdict.over]
    wrong = [f"- {escaped(fault.headline)}" for fault in (*faults(run), *failed_tests(run))]
    head = [f"## {_verdict(run, rows)}", "", *([*_some(wrong), ""] if wrong else [])]
    rows_told = [_row(row) for row in told]
    return _bounded(head, rows_told, _HEADINGS, why, tail, longest)


def of_comparison(comparisons: Sequence[Comparison], longest: int = LONGEST) -> str:
    """Return the Markdown of two sets of measurements side by side."""
    told = [one for one in comparisons if one.kind != "same"]
    same = len(comparisons) - len(told)
    grown = sum(one.kind == "grown" for one in told)
    verdict = f"{counted(grown, 'model')} grew" if grown else "No model grew"
    rows = []
    for one in told:
        cells = (_moved(one.before.get(metric), one.after.get(metric), metric) for metric in _COLUMNS)
        rows.append([escaped(one.name), one.kind, *cells])
    headings = ["model", "", *(METRICS[metric].label for metric in _COLUMNS)]
    why = [_why(one.name, map(because, telling(one.differences))) for one in told if one.differences]
    tail = [f"{counted(same, 'model')} unchanged."] if same else []
    return _bounded([f"## {verdict}", ""], rows, headings, why, tail, longest)


_HEADINGS = ["model", *(METRICS[metric].label for metric in _COLUMNS), "limits", "status"]


def _bounded(
    head: list[str], rows: list[list[str]], headings: list[str], why: list[str], tail: list[str], longest: int
) -> str:
    """Return the whole, with as many rows as fit; what is left out is counted."""

    def built(shown_rows: int, shown_why: int) -> str:
        parts = list(head)
        if rows:
            parts += [tabulate(rows[:shown_rows], headings, tablefmt="pipe", disable_numparse=True), ""]
            if shown_rows < len(rows):
                parts += [f"+ {counted(len(rows) - shown_rows, 'more model')}", ""]
        if why:
            left = [f"+ {counted(len(why) - shown_why, 'more model')}", ""] if shown_why < len(why) else []
            parts += ["<details><summary>Why</summary>", "", *why[:shown_why], "", *left, "</details>", ""]
        return "\n".join([*parts, *tail]).rstrip() + "\n"

    most = _most(lambda number: len(built(number, 0)) <= longest, len(rows))
    return built(most, _most(lambda number: len(built(most, number)) <= longest, len(why)))


def _most(fits: Callable[[int], bool], highest: int) -> int:
    """Return the largest number that fits, by bisection."""
    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def violations(run: Run) -> int:
    """Return how many models and tests under a budget fail, and how many faults the run as a whole has."""
    return sum(model.fails for model in run.models) + len([*faults(run), *failed_tests(run)])


def _verdict(run: Run, rows: Sequence[Row]) -> str:
    wrong, failing = len([*faults(run)]), [row for row in rows if row.fails]
    if failing or wrong or run.failed:
        parts = how_many(failing, len(rows))
        parts += [counted(len(run.failed), "failed test")] if run.failed else []
        parts += [counted(wrong, "fault of the run", "faults of the run")] if wrong else []
        return f"Failed: {', '.join(parts)}"
    return f"Passed: {', '.join(how_many(rows, len(rows)))}" if rows else "No model was measured"


def _badness(row: Row) -> tuple[bool, bool, str]:
    return not row.fails, not row.verdict.problems, row.result.name


def _is_quiet(row: Row) -> bool:
    """Return whether there is nothing to say of a model but its name."""
    new = row.verdict.baseline == "new" and row.verdict.named
    return not (row.verdict.problems or row.contradicted or has_moved(row.verdict) or new)


def _row(row: Row) -> list[str]:
    model = row.result
    checks = {check.metric: check for check in model.verdict.checks}
    inputs = f" ({row.inputs})" if model.inputs else ""
    cells = [_cell(checks.get(metric)) for metric in _COLUMNS]
    limited = (*model.verdict.checks, *model.verdict.parts)
    limits = [_limit(check) for check in limited if check.limit is not None]
    return [escaped(model.name + inputs), *cells, "<br>".join(limits), _status(row)]


def _cell(check: Check | None) -> str:
    if check is None or check.value is None:
        return "-"
    if check.before in (None, check.value):
        return human(check.value, check.metric)
    return f"{human(check.value, check.metric)} ({change_in_percent(check.before or 0, check.value)})"


def _limit(check: Check) -> str:
    assert check.limit is not None
    value, limit = compared(check.metric, check.value, check.limit)
    if check.value is None:
        return f"{escaped(check.subject)} {limit}: not measured"
    left = check.limit.value - check.value
    room = f"{percent(left, check.limit.value)} left" if left >= 0 else f"**over by {human(-left, check.metric)}**"
    return f"{escaped(check.subject)} {value} / {limit}, {room}"


def _status(row: Row) -> str:
    verdict = row.verdict
    if row.contradicted:
        return "**contradicted**"
    if not verdict.problems:
        return "new" if verdict.baseline == "new" and verdict.named else "ok"
    worst = verdict.problems[0]
    by = f" by {excess(worst)}" if worst.is_excess else ""
    text = f"{STATUS[worst.kind]}{by}{', as xfail expects' if row.result.excused else ''}"
    return f"**{text}**" if worst.severity == "error" and not row.result.excused else text


def _moved(before: int | None, after: int | None, metric: str) -> str:
    if before is None or after is None or before == after:
        return human(before if after is None else after, metric)
    return f"{human(before, metric)} -> {human(after, metric)} ({change_in_percent(before, after)})"


def _reasons(model: ModelResult) -> Iterator[str]:
    """Yield what grew, and for a model over a limit where its cost is."""
    yield from map(because, telling(model.differences))
    over = [one.metric for one in model.verdict.over if one.kind == "over" and one.module is None]
    for part in where_it_is(model.measurement.modules, model.name, over) if over else ():
        modules = [" ".join(filter(None, (name, times, share))) for name, _, times, _, share in part.rows]
        yield f"{listed(part.metrics)}: {', '.join([*modules, *filter(None, [part.rest])])}"


def _why(name: str, reasons: Iterable[str]) -> str:
    lines = "".join(f"\n  - {escaped(reason)}" for reason in reasons)
    return f"- {escaped(name)}{lines}"


def _names(models: Iterable[ModelResult]) -> str:
    names = [escaped(model.name) for model in models]
    return ", ".join(names) if len(names) <= 40 else f"{', '.join(names[:40])} + {len(names) - 40} more"


def _some(lines: list[str]) -> list[str]:
    return lines if len(lines) <= 40 else [*lines[:40], f"- + {len(lines) - 40} more"]
