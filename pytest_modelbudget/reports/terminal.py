"""The summary at the end of a run: one row a model, held against its budget."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_modelbudget.budgets import Problem, Table, Verdict
from pytest_modelbudget.measurement import human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.wording import (
    beyond,
    circumstances,
    compared,
    convention,
    counted,
    excess,
    outside_of_modules,
    percent,
    sizes,
)
from pytest_modelbudget.results import ModelResult, Run

_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.column)
_HEADINGS = [METRICS[metric].label for metric in _COLUMNS]
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NARROWEST_NAME = 8
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen: plain text, then a status in a colour."""

    text: str
    status: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True)
class _Model:
    """One model of the run, and what stands in its row."""

    result: ModelResult
    name: str

    @property
    def verdict(self) -> Verdict:
        return self.result.verdict

    @property
    def problem(self) -> Problem | None:
        """The worst problem."""
        return next(iter(self.verdict.problems), None)

    @property
    def fails(self) -> bool:
        """Whether an error is left that ``xfail`` did not expect."""
        return len(self.verdict.errors) > (len(self.verdict.over) if self.result.excused else 0)


def header(table: Table) -> str:
    """Return the line that says at the start that the guard stands."""
    parts = [counted(len(table.models), "entry", "entries")] if table.models else []
    parts += ["default"] if table.default.limits or table.default.warns else []
    return f"model budgets: {table.path}" + (f" ({', '.join(parts)})" if parts else "")


def summary(run: Run, width: int, verbosity: int = 0) -> list[Line]:
    """Return the summary of all models for a screen of ``width`` columns, or nothing where there is nothing to say.

    Below zero ``verbosity`` leaves the rows that are not as they should be, above zero it adds the module trees.
    Nothing is cut: a name too long for its column gets a line of its own, and where the columns do not fit either,
    every model gets one line per metric.
    """
    models = _named(run)
    shown = [model for model in models if verbosity >= 0 or model.problem]
    lines = []
    if shown:
        lines += _table(shown, width, brief=False) or _table(shown, width, brief=True) or _stack(shown, width)
        if verbosity > 0:
            lines += [Line(line) for model in shown for line in ("", *_tree(model))]
            lines += [Line("")]
        lines += _footer(models, run.flops_per_mac, width)
    return [*lines, *(line for note in _notes(run, verbosity) for line in _wrapped(note, width, break_words=False))]


def _notes(run: Run, verbosity: int) -> Iterator[str]:
    """Yield what was not measured although somebody counts on it."""
    if run.unused:
        yield f"model_budget was asked for and never called in {', '.join(run.unused)}"
    for test, operators in run.outside:
        yield f"{outside_of_modules(operators)} in {test}"
    if run.stale and run.complete:
        yield f"Not measured by any test: {', '.join(f'{one.name} ({one.place})' for one in run.stale)}"
    elif run.stale and verbosity > 0:
        yield (
            f"Not measured in this run, which is not complete ({', '.join(run.incomplete)}): "
            f"{', '.join(one.name for one in run.stale)}"
        )


def _named(run: Run) -> list[_Model]:
    """Return the models with the names of their rows: with the inputs, where a name has several."""
    several = Counter(name for name, _ in {(result.name, result.inputs) for result in run.models})
    return [
        _Model(result, f"{result.name} ({sizes(result.inputs)})" if several[result.name] > 1 else result.name)
        for result in run.models
    ]


def _tree(model: _Model) -> list[str]:
    """Return how a model was counted, and its module tree."""
    measurement = model.result.measurement
    return [f"{model.name}: {'; '.join(circumstances(measurement))}", *measurement.tree().splitlines()]


def _others(verdict: Verdict) -> list[str]:
    """Return the metrics without a column that somebody asked for: with a limit, or by measuring a backward pass."""
    return [
        check.metric
        for check in verdict.checks
        if check.metric not in _COLUMNS and (check.limit or check.warn or METRICS[check.metric].needs == "backward")
    ]


def _cell(verdict: Verdict, metric: str) -> str:
    check = next((one for one in verdict.checks if one.metric == metric), None)
    if check is None:
        return "-"
    if check.limit is None:
        return human(check.value, metric)
    return " / ".join(compared(metric, check.value, check.limit))


def _status(model: _Model, *, brief: bool) -> str:
    """Return the words for the worst problem of a model."""
    problem = model.problem
    if problem is None:
        return f"ok{_least_room(model.verdict)}" if model.verdict.budgeted else "no budget"
    if problem.kind == "over":
        return _excess(model, brief=brief)
    if problem.kind == "warned":
        return f"warn, above {problem.limit.text}" if problem.limit else "warn"
    words = {"unknown_operators": "lower bound", "not_measured": "not measured", "unbudgeted": "no budget"}
    if problem.severity == "error":
        return words[problem.kind].upper()
    return f"warn, {words[problem.kind]}" if problem.kind == "unbudgeted" else words[problem.kind]


def _excess(model: _Model, *, brief: bool) -> str:
    over = model.verdict.over
    worst = max(over, key=_excess_in_relation)
    share = percent(*beyond(worst)) or human(beyond(worst)[0], worst.metric)
    by = share if brief else excess(worst)
    text = f"OVER in {len(over)}, {share}" if len(over) > 1 else f"OVER by {by}"
    return text + (", xfail" if model.result.excused else "")


def _excess_in_relation(problem: Problem) -> float:
    over, limit = beyond(problem)
    return over / limit if limit else float("inf")


def _least_room(verdict: Verdict) -> str:
    rooms = [
        (check.limit.value - check.value, check.limit.value)
        for check in verdict.checks
        if check.limit is not None and check.value is not None
    ]
    if not rooms:
        return ""
    left, limit = min(rooms, key=lambda room: room[0] / room[1] if room[1] else 0)
    return f", {percent(left, limit)} left" if left else ", at the limit"


def _colour(model: _Model) -> str:
    if model.problem is None:
        return "green" if model.verdict.budgeted else ""
    return "red" if model.fails else "yellow"


def _table(models: Sequence[_Model], width: int, *, brief: bool) -> list[Line]:
    """Return one row a model, or nothing where the columns have no room."""
    grid = [[_cell(model.verdict, metric) for metric in _COLUMNS] for model in models]
    statuses = [_status(model, brief=brief) for model in models]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *grid, strict=True)]
    room = width - sum(len(_GAP) + column for column in widths) - len(_GAP) - max(map(len, statuses))
    if room < max(len("model"), min(_NARROWEST_NAME, max(len(model.name) for model in models))):
        return []
    first = max(len("model"), *(len(model.name) * (len(model.name) <= room) for model in models))

    def joined(name: str, cells: Iterable[str]) -> str:
        padded = (cell.ljust(column) for cell, column in zip(cells, widths, strict=True))
        return _GAP.join([name.ljust(first), *padded, ""])

    lines = [Line(joined("model", _HEADINGS) + "status")]
    for model, cells, status in zip(models, grid, statuses, strict=True):
        fits = len(model.name) <= first
        lines += [] if fits else _wrapped(model.name, width)
        lines.append(Line(joined(model.name if fits else "", cells), status, _colour(model)))
        others = ", ".join(
            f"{METRICS[metric].label} {_cell(model.verdict, metric)}" for metric in _others(model.verdict)
        )
        lines += _wrapped(_GAP + others, width) if others else []
    return lines


def _stack(models: Sequence[_Model], width: int) -> list[Line]:
    """Return one line per metric, for screens on which the table has no room."""
    lines: list[Line] = []
    for model in models:
        status = _status(model, brief=False)
        name = f"{model.name}{_GAP}"
        if len(name) + len(status) > width:
            lines += _wrapped(model.name, width)
            name = _GAP
        lines.append(Line(name, status, _colour(model)))
        metrics = [*_COLUMNS, *_others(model.verdict)]
        label = max(len(METRICS[metric].label) for metric in metrics)
        cells = ((metric, _cell(model.verdict, metric)) for metric in metrics)
        for metric, cell in cells:
            lines += _wrapped(f"{_GAP}{METRICS[metric].label.ljust(label)}{_GAP}{cell}", width) if cell != "-" else []
    return lines


def _wrapped(text: str, width: int, *, break_words: bool = True) -> list[Line]:
    """Return ``text`` on as many lines as it needs, the further ones indented."""
    indent = text[: len(text) - len(text.lstrip())] + _GAP
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=break_words, break_on_hyphens=False)
    return [Line(line.replace(_NO_BREAK, " ")) for line in lines]


def _footer(models: Sequence[_Model], flops_per_mac: int, width: int) -> list[Line]:
    over = [model for model in models if model.verdict.over and not model.result.excused]
    expected = sum(bool(model.verdict.over) and model.result.excused for model in models)
    kinds = Counter(model.problem.kind if model.problem else "" for model in models)
    bounds, unmeasured = kinds["unknown_operators"], kinds["not_measured"]
    bare = sum(
        not model.verdict.budgeted for model in models if not model.problem or model.problem.kind == "unbudgeted"
    )
    within = len(models) - len(over) - expected - bounds - unmeasured - bare
    number = counted(len(models), "model")
    if over:
        parts = [f"{len(over)} of {number} over budget"]
    elif within < len(models):
        parts = [f"{within} of {number} within budget"]
    else:
        parts = [f"{number} within budget"]
    parts += [f"{bounds} with only a lower bound"] if bounds else []
    parts += [f"{unmeasured} not measured"] if unmeasured else []
    parts += [f"{expected} over as xfail expects"] if expected else []
    parts += [f"{bare} without a budget"] if bare else []
    text = f"{', '.join(parts)} ({convention(flops_per_mac).replace(' ', _NO_BREAK)})."
    places = dict.fromkeys(str(problem.place) for model in over for problem in model.verdict.over)
    if places:
        text += f" Limits: {', '.join(places)}"
    return _wrapped(text, width, break_words=False)
