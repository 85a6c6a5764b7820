"""The summary at the end of a run: one row a model, held against its budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_modelbudget.budgets import Problem, Verdict
from pytest_modelbudget.measurement import human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import change_in_percent
from pytest_modelbudget.reports.lines import GAP, NO_BREAK, Line, is_less, notes_on, wrapped
from pytest_modelbudget.reports.wording import (
    beyond,
    circumstances,
    compared,
    convention,
    counted,
    excess,
    percent,
    sizes,
)
from pytest_modelbudget.results import ModelResult, Run

_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.column)
_HEADINGS = [METRICS[metric].label for metric in _COLUMNS]
_NARROWEST_NAME = 8


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
    return [*lines, *(line for note in notes_on(run, verbosity) for line in wrapped(note, width))]


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
    moved = check.before is not None and check.value is not None and check.before != check.value
    change = f" ({change_in_percent(check.before or 0, check.value or 0)})" if moved else ""
    if check.limit is None:
        return human(check.value, metric) + change
    value, limit = compared(metric, check.value, check.limit)
    return f"{value}{change} / {limit}"


def _status(model: _Model, *, brief: bool) -> str:
    """Return the words for the worst problem of a model."""
    problem = model.problem
    if problem is None:
        return _fine(model.verdict)
    if problem.is_excess:
        return _excess(model, brief=brief)
    if problem.kind == "warned":
        return f"warn, above {problem.limit.text}" if problem.limit else "warn"
    words = {
        "unknown_operators": "lower bound",
        "not_measured": "not measured",
        "unbudgeted": "no budget",
        "new": "new",
    }
    if problem.severity == "error":
        return words[problem.kind].upper()
    return f"warn, {words[problem.kind]}" if problem.kind == "unbudgeted" else words[problem.kind]


def _fine(verdict: Verdict) -> str:
    new = verdict.baseline == "new" and verdict.named
    if not verdict.budgeted:
        return "new" if new else "no budget"
    return f"ok{_least_room(verdict)}{', new' if new else ', less' if is_less(verdict) else ''}"


def _excess(model: _Model, *, brief: bool) -> str:
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
    room = width - sum(len(GAP) + column for column in widths) - len(GAP) - max(map(len, statuses))
    if room < max(len("model"), min(_NARROWEST_NAME, max(len(model.name) for model in models))):
        return []
    first = max(len("model"), *(len(model.name) * (len(model.name) <= room) for model in models))

    def joined(name: str, cells: Iterable[str]) -> str:
        padded = (cell.ljust(column) for cell, column in zip(cells, widths, strict=True))
        return GAP.join([name.ljust(first), *padded, ""])

    lines = [Line(joined("model", _HEADINGS) + "status")]
    for model, cells, status in zip(models, grid, statuses, strict=True):
        fits = len(model.name) <= first
        lines += [] if fits else wrapped(model.name, width, break_words=True)
        lines.append(Line(joined(model.name if fits else "", cells), status, _colour(model)))
        others = ", ".join(
            f"{METRICS[metric].label} {_cell(model.verdict, metric)}" for metric in _others(model.verdict)
        )
        lines += wrapped(GAP + others, width, break_words=True) if others else []
    return lines


def _stack(models: Sequence[_Model], width: int) -> list[Line]:
    """Return one line per metric, for screens on which the table has no room."""
    lines: list[Line] = []
    for model in models:
        status = _status(model, brief=False)
        name = f"{model.name}{GAP}"
        if len(name) + len(status) > width:
            lines += wrapped(model.name, width, break_words=True)
            name = GAP
        lines.append(Line(name, status, _colour(model)))
        metrics = [*_COLUMNS, *_others(model.verdict)]
        label = max(len(METRICS[metric].label) for metric in metrics)
        cells = ((metric, _cell(model.verdict, metric)) for metric in metrics)
        for metric, cell in cells:
            lines += (
                wrapped(f"{GAP}{METRICS[metric].label.ljust(label)}{GAP}{cell}", width, break_words=True)
                if cell != "-"
                else []
            )
    return lines


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
    grown = sum(all(problem.kind == "grown" for problem in model.verdict.over) for model in over)
    if grown:
        parts = [
            f"{grown} of {number} above the baseline",
            *([f"{len(over) - grown} over budget"] * (grown < len(over))),
        ]
    elif over:
        parts = [f"{len(over)} of {number} over budget"]
    elif within < len(models):
        parts = [f"{within} of {number} within budget"]
    else:
        parts = [f"{number} within budget"]
    parts += [f"{bounds} with only a lower bound"] if bounds else []
    parts += [f"{unmeasured} not measured"] if unmeasured else []
    parts += [f"{expected} over as xfail expects"] if expected else []
    parts += [f"{bare} without a budget"] if bare else []
    text = f"{', '.join(parts)} ({convention(flops_per_mac).replace(' ', NO_BREAK)})."
    places = dict.fromkeys(str(problem.place) for model in over for problem in model.verdict.over if problem.place)
    if places:
        text += f" Limits: {', '.join(places)}"
    return wrapped(text, width)
