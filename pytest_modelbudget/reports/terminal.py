"""The summary at the end of a run: one row a model, held against its budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wcwidth import ljust
from wcwidth import width as width_of

from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.outline import tree
from pytest_modelbudget.reports.footer import footer
from pytest_modelbudget.reports.lines import GAP, Line, notes_on, wrapped
from pytest_modelbudget.reports.rows import COLUMNS, Row, cell, limited_parts, others, rows_of, status
from pytest_modelbudget.reports.wording import circumstances
from pytest_modelbudget.results import Run

_HEADINGS = [METRICS[metric].label for metric in COLUMNS]
_NARROWEST_NAME = 8
_DOZEN = 12
_ALL_LEVELS = 1_000_000


def summary(run: Run, width: int, verbosity: int = 0, encoding: str = "utf-8") -> list[Line]:
    """Return the summary of all models for a screen of ``width`` columns, or nothing where there is nothing to say.

    Below zero ``verbosity`` leaves the rows that are not as they should be; at one it adds the module trees of the
    models that are over, warned or grown, as deep as a dozen lines show them, and above that the whole trees of all.
    Nothing is cut: a name too long for its column gets a line of its own, and where the columns do not fit either,
    every model gets one line per metric. What the screen's ``encoding`` does not have is escaped.
    """
    models = rows_of(run, encoding)
    shown = [model for model in models if verbosity >= 0 or model.problem or model.contradicted]
    lines = []
    if shown:
        lines += _table(shown, width, brief=False) or _table(shown, width, brief=True) or _stack(shown, width)
        trees = [line for model in shown for line in _tree(model, verbosity, width)]
        lines += [*trees, *([Line("")] if trees else [])]
        lines += footer(models, run.flops_per_mac, width, brief=verbosity < 0)
    return [*lines, *(line for note in notes_on(run) for line in wrapped(note, width))]


def _tree(model: Row, verbosity: int, width: int) -> Iterator[Line]:
    """Yield how a model was counted, and its module tree."""
    if verbosity <= 0 or (verbosity == 1 and not _is_worth_a_look(model)):
        return
    measurement = model.result.measurement
    depth = None if verbosity == 1 else _ALL_LEVELS
    yield Line("")
    yield from wrapped(f"{model.name}: {'; '.join(circumstances(measurement))}", width)
    for line in tree(measurement.modules, measurement.name, depth, lines=_DOZEN):
        yield from wrapped(line, width, break_words=True) if width_of(line) > width else [Line(line)]


def _is_worth_a_look(model: Row) -> bool:
    return bool(model.verdict.problems) or any(
        check.before not in (None, check.value) for check in model.verdict.checks
    )


def _table(models: Sequence[Row], width: int, *, brief: bool) -> list[Line]:
    """Return one row a model, or nothing where the columns have no room."""
    grid = [[cell(model.verdict, metric) for metric in COLUMNS] for model in models]
    statuses = [status(model, brief=brief) for model in models]
    widths = [max(map(width_of, column)) for column in zip(_HEADINGS, *grid, strict=True)]
    room = width - sum(len(GAP) + column for column in widths) - len(GAP) - max(map(width_of, statuses))
    if room < max(len("model"), min(_NARROWEST_NAME, max(width_of(model.name) for model in models))):
        return []
    first = max(len("model"), *(width_of(model.name) * (width_of(model.name) <= room) for model in models))

    def joined(name: str, cells: Iterable[str]) -> str:
        padded = (ljust(cell, column) for cell, column in zip(cells, widths, strict=True))
        return GAP.join([ljust(name, first), *padded, ""])

    lines = [Line(joined("model", _HEADINGS) + "status")]
    for model, cells, words in zip(models, grid, statuses, strict=True):
        fits = width_of(model.name) <= first
        lines += [] if fits else wrapped(model.name, width, break_words=True)
        lines.append(Line(joined(model.name if fits else "", cells), words, model.colour))
        further = ", ".join(
            f"{METRICS[metric].label} {cell(model.verdict, metric)}" for metric in others(model.verdict)
        )
        for text in filter(None, (further, *limited_parts(model.verdict))):
            lines += wrapped(GAP + text, width, break_words=True)
    return lines


def _stack(models: Sequence[Row], width: int) -> list[Line]:
    """Return one line per metric, for screens on which the table has no room."""
    lines: list[Line] = []
    for model in models:
        words = status(model, brief=False)
        name = f"{model.name}{GAP}"
        if width_of(name + words) > width:
            lines += wrapped(model.name, width, break_words=True)
            name = GAP
        lines.append(Line(name, words, model.colour))
        metrics = [*COLUMNS, *others(model.verdict)]
        label = max(len(METRICS[metric].label) for metric in metrics)
        for metric in metrics:
            value = cell(model.verdict, metric)
            line = f"{GAP}{METRICS[metric].label.ljust(label)}{GAP}{value}"
            lines += wrapped(line, width, break_words=True) if value != "-" else []
        for part in limited_parts(model.verdict):
            lines += wrapped(GAP + part, width, break_words=True)
    return lines
