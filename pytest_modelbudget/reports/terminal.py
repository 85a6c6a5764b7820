"""The summary at the end of a run: one row a model, held against its budget, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wcwidth import ljust
from wcwidth import width as width_of

from pytest_modelbudget.budgets.status import has_moved
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.outline import tree
from pytest_modelbudget.reports.lines import GAP, Line, notes_on, wrapped
from pytest_modelbudget.reports.wording import (
    circumstances,
    counted,
    counted_how,
    value_and_limit,
)
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.standings import Standing, how_many, standings

_COLOURS = {"error": "red", "warning": "yellow", "good": "green", "plain": ""}
_NAME, _NARROWEST_NAME = 24, 12
_DOZEN = 12
_ALL_LEVELS = 1_000_000


def summary(run: Run, width: int, verbosity: int = 0, encoding: str = "utf-8") -> list[Line]:
    """Return the summary of all models for a screen of ``width`` columns, or nothing where there is nothing to say.

    Below zero ``verbosity`` leaves the rows that are not as they should be; at one it adds the module trees of the
    models that are over, warned or grown, as deep as a dozen lines show them, and above that the whole trees of all.
    What the screen's ``encoding`` does not have is escaped.
    """
    models = standings(run)
    shown = [model for model in models if verbosity >= 0 or model.status.level in ("error", "warning")]
    lines = []
    if shown:
        lines += _table(shown, width, encoding)
        trees = [line for model in shown for line in _tree(model, verbosity, width)]
        lines += [*trees, *([Line("")] if trees else [])]
        lines += _footer(models, run, width, brief=verbosity < 0)
    return [*lines, *(line for note in notes_on(run, width) for line in wrapped(note, width))]


def _layouts(models: Sequence[Standing]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield metrics, and whether their limits stand beside them: from what says most to what needs least room."""
    limited = {one.metric for model in models for one in model.findings if one.limit and one.module is None}
    measured = {one.metric for model in models for one in model.findings if one.value is not None}
    metrics = tuple(
        name
        for name, metric in METRICS.items()
        if (metric.column and (name != "flops" or name in limited)) or (name == "peak_bytes" and name in measured)
    )
    yield metrics, True
    yield from ((metrics[:kept], False) for kept in range(len(metrics), -1, -1))


def _table(models: Sequence[Standing], width: int, encoding: str) -> list[Line]:
    """Return one row a model. Where there is no room, limits, the ends of statuses, and columns are left out.

    Names are cut in the middle last.
    """
    names = [model.name.encode(encoding, "backslashreplace").decode(encoding) for model in models]
    longest = max(map(width_of, ["model", *names]))
    for metrics, with_limits in _layouts(models):
        grid = [[_cell(model, metric, with_limits=with_limits) for metric in metrics] for model in models]
        headings = [METRICS[metric].label for metric in metrics]
        widths = [max(map(width_of, column)) for column in zip(headings, *grid, strict=True)]
        room = width - sum(len(GAP) + column for column in widths) - len(GAP)
        shortest = max(width_of(model.status.text if with_limits else model.status.short) for model in models)
        if room - shortest >= min(longest, _NARROWEST_NAME if not with_limits else _NAME):
            break
    first = max(min(longest, room - shortest), min(longest, _NARROWEST_NAME), len("model"))

    def joined(name: str, cells: Sequence[str]) -> str:
        padded = (ljust(cell, column) for cell, column in zip(cells, widths, strict=True))
        return GAP.join([ljust(shortened(name, first), first), *padded, ""])

    lines = [Line(joined("model", headings) + "status")]
    for model, name, cells in zip(models, names, grid, strict=True):
        status = model.status
        verdict = status.short.partition(" ")[0].rstrip(",")  # which stands on the narrowest screen
        cut = max(verdict, shortened(status.short, room - first), key=len)
        words = status.text if width_of(status.text) <= room - first else cut
        lines.append(Line(joined(name, cells), words, _COLOURS[status.level]))
    return lines


def _cell(model: Standing, metric: str, *, with_limits: bool) -> str:
    found = next((one for one in model.findings if one.metric == metric and one.module is None), None)
    return "-" if found is None else value_and_limit(found, with_limit=with_limits)


def shortened(name: str, width: int) -> str:
    """Return a name that is cut in the middle where it is wider than ``width``."""
    if width_of(name) <= width:
        return name
    if width < 2:
        return name[: max(width, 0)]
    head, tail = name, name
    while width_of(head) > (width - 1) // 2:
        head = head[:-1]
    while width_of(tail) > width - 1 - width_of(head):
        tail = tail[1:]
    return f"{head}…{tail}"


def _tree(model: Standing, verbosity: int, width: int) -> Iterator[Line]:
    """Yield how a model was counted, and its module tree."""
    worth_a_look = bool(model.verdict.problems) or has_moved(model.verdict)
    if model.model is None or verbosity <= 0 or (verbosity == 1 and not worth_a_look):
        return
    measurement = model.model.measurement
    depth = None if verbosity == 1 else _ALL_LEVELS
    yield Line("")
    yield from wrapped(f"{model.name}: {'; '.join(circumstances(measurement))}", width)
    worst = next((one.metric for one in model.excesses if one.module is None), "")
    for line in tree(measurement.modules, measurement.name, depth, lines=_DOZEN, metric=worst):
        yield from wrapped(line, width, break_words=True) if width_of(line) > width else [Line(line)]


def _footer(models: Sequence[Standing], run: Run, width: int, *, brief: bool) -> list[Line]:
    """Return how many models are how, and of which metric the least is left; ``brief`` says only what is wrong."""
    closest = closest_to_limit(models)
    lines = wrapped(f"{counts(models)}.", width)
    for part in ([closest] if closest and not brief else []) + [counted_how(run, models)]:
        together = f"{lines[-1].text} {part}."
        # The numbers of models stand by themselves, unless they are several lines.
        fits = width_of(together) <= width and (len(lines) > 1 or part != closest)
        lines = [*lines[:-1], Line(together)] if fits else [*lines, *wrapped(f"{part}.", width)]
    return lines


def counts(models: Sequence[Standing]) -> str:
    """Return how many models are how: ``2 of 3 models over budget, 1 within budget``."""
    found = how_many(models)
    if len(found) == 1:
        return f"{counted(len(models), 'model')} {found[0][1]}"
    first, *others = [f"{number:,} {words}" for _, words, number in found]
    number, words = first.split(" ", 1)
    return ", ".join([f"{number} of {counted(len(models), 'model')} {words}", *others])


def closest_to_limit(models: Sequence[Standing]) -> str:
    """Return of which metric the least is left, of the models that are within their limits."""
    found = [(one, model) for model in models if model.status.kind == "within" for one in model.findings if one.left]
    if not found:
        return ""
    closest, model = max(found, key=lambda pair: (pair[0].value or 0) / ((pair[0].limit and pair[0].limit.value) or 1))
    return f"Closest to its limit: {model.name}'s {closest.label}, {closest.left}"
