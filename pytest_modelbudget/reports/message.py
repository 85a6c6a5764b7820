"""The text of a failed budget: what, by how much, where the limit stands, and where the cost comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate
from wcwidth import width as width_of

from pytest_modelbudget.budgets import Problem, Verdict
from pytest_modelbudget.budgets.config import ROOT, key_path
from pytest_modelbudget.budgets.status import Finding, in_words
from pytest_modelbudget.measurement import Measurement, MemoryCost, OperatorCost, exactly, human, signed_percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import grouped, pattern, times, without_numbers
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.heaviest import where_it_is
from pytest_modelbudget.reports.hints import hints
from pytest_modelbudget.reports.lines import wrapped
from pytest_modelbudget.reports.wording import (
    WITHOUT_INPUTS,
    bounded,
    circumstances,
    counted,
    how_to_accept,
    listed,
    numbers,
    outside_of_modules,
)
from pytest_modelbudget.results import ModelResult, Stale
from pytest_modelbudget.results.difference import Difference
from pytest_modelbudget.results.gathering import differing
from pytest_modelbudget.results.standings import Standing, badness, distinct_names, standing, words_for_inputs

Judged = tuple[Verdict, Measurement, tuple[Difference, ...]]
"""A verdict, its measurement, and what changed since the baseline."""

Failed = tuple[Standing, Measurement]
"""How a model stands that failed, and its measurement."""

_HEADINGS = ("value", "limit", "baseline")
_WIDTH = 76
"""Columns: pytest puts "E   " before each line."""
_HEADLINE = _WIDTH - len("BudgetExceeded: : ")

_ALIVE = 5
"""How many tensors at the peak are named."""
_COLLECTIVES = 8
"""How many modules with collectives are named."""
_NO_OPERATORS = ("asyncio::", "concurrent::", "multiprocessing::", "python::", "threading::")
"""Where the names of what is no operator begin: other threads and processes, and results that have yet to run."""


def failure(judged: Iterable[Judged], outside: Sequence[OperatorCost] = ()) -> str:
    """Return the message for verdicts with errors; the first line alone says what is wrong, and by how much.

    ``outside`` are the operators that ran outside of any module.
    """
    judged = [*judged]
    measured = [measurement for _, measurement, _ in judged]
    names, inputs = distinct_names(measured), words_for_inputs(measured)
    found = [one for one in judged if one[0].errors]
    failed = [
        (standing(verdict, changed, name=names[key], inputs=inputs[key]), measurement)
        for verdict, measurement, changed in found
        for key in [(measurement.name, measurement.inputs)]
    ]
    groups = [*_of_one_name(failed)]
    headlines = [*dict.fromkeys(map(_headline, groups))]  # a test that runs many times makes equal models
    lines = ["; ".join(headlines)] if headlines else []
    lines += dict.fromkeys("\n".join(_details(group, named=len(headlines) > 1)) for group in groups)
    others = dict.fromkeys(
        f"{verdict.model}: {text}" for verdict, measurement, _ in found for text in remedies(verdict, measurement)
    )
    return "\n".join([*lines, *others, *([f"and {outside_of_modules(outside)}"] if outside else [])])


def _of_one_name(failed: Iterable[Failed]) -> Iterator[list[Failed]]:
    """Yield what is over, and what is over at several inputs together: a range of sizes is one failure."""
    for alike in grouped((one for one in failed if one[0].excesses), lambda one: one[0].verdict.model):
        if len({one.inputs for one, _ in alike}) == len(alike):
            yield alike
        else:
            yield from ([one] for one in alike)


def _in_brief(found: Sequence[Finding], further: int, room: int) -> str:
    """Return what is too much, as far as there is room: ``macs 4.089 G > 4.0 G (+2.2%), 1 more``."""
    texts = [f"{one.part} {one.metric} {' > '.join(_compared(one))}{_by(one)}".lstrip() for one in found]
    for number in range(len(texts), 0, -1):
        left = len(texts) - number + further
        text = ", ".join([*texts[:number], *([f"{left} more"] if left else [])])
        if width_of(text) <= room:
            break
    return text


def _by(found: Finding) -> str:
    """Return by how much a value is too large; above zero it is the value itself, which says so already."""
    return f" (+{found.excess})" if found.above else ""


def _compared(found: Finding) -> tuple[str, str]:
    """Return a value, and what it is above; where the two would look equal, both are exact."""
    value, limit, before = numbers(found.metric, found.value, found.limit if found.over else None, found.before)
    if limit:
        return value, limit
    shown = exactly if value == before else human
    return shown(found.value, found.metric), f"{shown(found.before, found.metric)} before"


def remedies(verdict: Verdict, measurement: Measurement) -> Iterator[str]:
    """Yield what each error other than an excess says, and the remedy."""
    for problem in verdict.errors:
        if not problem.is_excess:
            yield "\n".join(_sentence(problem, verdict, measurement))


def contradiction(one: ModelResult, other: ModelResult) -> str:
    """Return the message for two different measurements under one name."""
    values = [
        f"{metric} {mine:,} and {theirs:,}" for metric, (mine, theirs) in differing(one.verdict, other.verdict).items()
    ]
    return (
        f"two different models are called {one.name}: {', '.join(values)}\n"
        f"  {one.tests[0]}\n  {other.tests[0]}\n"
        'Give one of them a name of its own: model_budget(..., name="...") or @pytest.mark.budget(name="...").'
    )


def unmeasured_entry(stale: Stale) -> str:
    """Return the message for an entry of the table or the baseline that nobody measured."""
    place = stale.place.short if stale.place else "the project"
    if stale.inputs is not None:
        what = f"{stale.name} ({', '.join(stale.inputs) or 'no inputs'})"
        other = "it was measured with other inputs, which are no growth but another entry"
        why = other if stale.nearest else "it was renamed or removed"
        remedy = "Accept that: pytest --modelbudget-update --modelbudget-prune"
        return f"no test measured {what}, which {place} holds: {why}\n{remedy}"
    remedy = 'or remove the entry; stale = "warn" in [tool.modelbudget] tolerates such entries.'
    if stale.declared:
        why = "its item was not run: a hook or a plugin leaves it out"
        return f"{stale.name} is declared at {place}, and {why}\nRun it, {remedy}"
    meant = f"; did you mean {stale.nearest}?" if stale.nearest else ""
    return f"no test measured a model called {stale.name}, which {place} limits{meant}\nMeasure it, {remedy}"


def _how_to_measure(problem: Problem, measurement: Measurement) -> str:
    """Return why a metric that is limited was not measured, and what to do about it."""
    unplaced = ", ".join(dict.fromkeys(one.name for one in measurement.unplaced))
    needs = METRICS[problem.metric].needs
    if needs == "file":
        return 'the model is no file: declare artifact = "...", or pass a pathlib.Path'
    if needs == "cache" and measurement.macs is not None and measurement.peak_bytes is not None:
        return "no output and no argument called past_key_values or cache holds one"
    if needs in ("memory", "saved", "cache") and measurement.macs is not None:
        where = "a forward that takes gradients, or runs where no operator is seen, cannot be followed"
        return f"use the model_budget fixture or the table; {where}"
    if needs == "ranks":
        return "the model is no rank of several: give ranks, and inputs"
    if needs == "optimizer":
        return 'no optimizer is known: give one, as in optimizer = "torch.optim:AdamW", and inputs'
    if needs != "saving" and measurement.macs is None:
        return WITHOUT_INPUTS
    if problem.module and unplaced:
        whole = "limit the whole, or the model before it is scripted"
        return f"a scripted graph does not tell which part runs {unplaced}: {whole}"
    what = "saves nothing" if needs == "saving" else "runs no backward pass"
    return f"observing {what}: use the model_budget fixture"


def _sentence(problem: Problem, verdict: Verdict, measurement: Measurement) -> Iterator[str]:
    """Yield the lines of what one error says."""
    model = verdict.model
    if problem.kind == "not_measured":
        remedy = _how_to_measure(problem, measurement)
        yield f"{problem.subject} is limited ({problem.place}) and was not measured; {remedy}"
    elif problem.kind == "unknown_operators":
        yield in_words(problem, verdict)
        found = [(one.name, one.module or model, counted(one.calls, "call")) for one in problem.operators]
        yield f"  ran: {', '.join(f'{name} in {module} ({calls})' for name, module, calls in found)}"
        yield from (f"  {_remedy(operator)}" for operator in sorted({name for name, *_ in found}))
    elif problem.kind == "steeper" and problem.scaling is not None:
        yield in_words(problem, verdict)
        yield f"  declared: {problem.place}"
        rows = [(f"at {size:,}:", human(value, problem.metric)) for size, value in problem.scaling.points]
        yield from _aligned(rows, indent=4)
    elif problem.kind == "no_module":
        nearest = f"; the nearest names are {', '.join(problem.nearest)}" if problem.nearest else ""
        where = f" ({problem.place})" if problem.place else ""
        yield f'no module of {model} matches "{problem.module}"{where}{nearest}'
    elif problem.kind == "new":
        yield 'is not in the baseline, and new = "error"; accept it: pytest --modelbudget-update'
    elif problem.kind == "unbudgeted":
        yield (
            f'no limit applies, and unbudgeted = "error"; give one to the call, to a mark, or to the model in '
            f"the table: [{key_path((*ROOT, 'models', model))}]"
        )


def _headline(group: Sequence[Failed]) -> str:
    """Return the worst of a model in one line."""
    (one, _), rows = _worst(group), _rows(group)
    return f"{one.name}: {_in_brief(one.excesses, len(rows) - len(one.excesses), _HEADLINE - width_of(one.name))}"


def _details(group: Sequence[Failed], *, named: bool) -> Iterator[str]:
    """Yield what is too much of a model, ``named`` where others fail too; more is said of the worst alone."""
    (one, measurement), found = _worst(group), [excess for failed, _ in group for excess in failed.excesses]
    several, rows = len(group) > 1, _rows(group)
    heading = (one.verdict.model if several else one.name) if named else ""
    told = [any(column) for column in zip(*rows, strict=True)]
    headings = tuple(text if is_told else "" for text, is_told in zip((heading, *_HEADINGS), told, strict=True))
    yield from ("", *_aligned([headings, *rows]))
    lines = [*dict.fromkeys(f"worst of {excess.part}: {excess.worst.module}" for excess in found if excess.differ)]
    lines += [f"limit: {place}" for place in _places(found)]
    at = f" at {one.inputs}" if several else ""
    lines += [f"since the baseline{at}: {cause}" for cause in why(one.causes)]
    if accept := how_to_accept(found):
        lines.append(f"accept the growth: {accept}")
    if not one.causes:
        lines += _heaviest(measurement, one.excesses, at)
    lines += dict.fromkeys(hint for excess in found for hint in hints(excess, measurement))
    lines.append(f"counted: {'; '.join(circumstances(measurement))}")
    if one.verdict.message:
        lines.append(f"note: {one.verdict.message}")
    for line in lines:
        yield from (part.text for part in wrapped(f"  {line}", _WIDTH))


def _worst(group: Sequence[Failed]) -> Failed:
    return min(reversed(group), key=lambda pair: badness(pair[0]))


def _rows(group: Sequence[Failed]) -> list[tuple[str, ...]]:
    """Return a row for each metric at each of the inputs; what is the same at all of them is one."""
    found: dict[tuple[str, ...], list[str]] = {}
    for one, _ in group:
        for excess in one.excesses:
            found.setdefault(_row(excess), []).append(f"{one.inputs} ")
    return [
        (f"{at}{row[0]}", *row[1:])
        for row, inputs in found.items()
        for at in (inputs if len(inputs) < len(group) else [""])
    ]


def _row(found: Finding) -> tuple[str, ...]:
    """Return a metric, its value, its limit and by how much it is over, its baseline and how far it moved."""
    value, limit, before = numbers(found.metric, found.value, found.limit, found.before)
    over = _by(found) if found.over else ""
    moved = f" ({signed_percent(found.before or 0, found.value or 0)})" if found.moved else ""
    return found.label, bounded(found, value), f"{limit}{over}", f"{before}{moved}"


def _places(excesses: Iterable[Finding]) -> list[str]:
    """Return where the rules stand that are broken, each once, with the metrics that they are about."""
    found: dict[str, list[str]] = {}
    for excess in excesses:
        if excess.over and excess.limit:
            found.setdefault(str(excess.limit.place), []).append(excess.metric)
        if excess.grown and excess.growth:
            place = f" at {excess.growth.place}" if excess.growth.place.path else ""
            found.setdefault(f"growth {excess.growth.text}{place}", [])
    return [f"{listed([*dict.fromkeys(metrics)])} at {place}" if metrics else place for place, metrics in found.items()]


def _heaviest(measurement: Measurement, excesses: Sequence[Finding], at: str) -> Iterator[str]:
    """Yield the heaviest modules of the model, or of the part that is furthest above its limit."""
    module = excesses[0].worst.module or ""
    metrics = [found.metric for found in excesses if (found.worst.module or "") == module]
    root = next(one for one in measurement.modules.walk() if one.name == module)
    for part in where_it_is(root, measurement.name, metrics):
        labels = [METRICS[metric].label for metric in part.metrics]
        yield f"heaviest{f' of {module}' if module else ''}{at} by {listed(labels)}:"
        yield from _aligned(part.rows, indent=2)
        if part.rest:
            yield f"  {part.rest}"
    if "comm_bytes" in metrics:
        yield from _largest_collectives(measurement)
    if "peak_bytes" in metrics and measurement.memory is not None:
        yield from _alive_at_peak(measurement.memory, measurement.name)


def _alive_at_peak(memory: MemoryCost, model: str) -> Iterator[str]:
    """Yield during which operator the peak is reached, and what is alive there, the largest first."""
    yield f"alive at the peak ({memory.operator} in {memory.module or model}):"
    rows = [
        (
            human(one.nbytes, "peak_bytes"),
            one.operator if one.operator == "input" else one.module or model,
            one.operator,
        )
        for one in memory.alive[:_ALIVE]
    ]
    yield from _aligned(
        [(size, maker, "" if operator == "input" else f"({operator})") for size, maker, operator in rows]
    )
    if len(memory.alive) > _ALIVE:
        rest = sum(one.nbytes for one in memory.alive[_ALIVE:])
        yield f"  + {len(memory.alive) - _ALIVE} more with {human(rest, 'peak_bytes')}"


def _largest_collectives(measurement: Measurement) -> Iterator[str]:
    """Yield what a rank transfers, by kind and module; the same in layers that differ in numbers is one line."""
    alike = grouped(measurement.collectives, lambda one: (one.kind, without_numbers(one.module)))
    alike.sort(key=lambda group: -sum(one.nbytes for one in group))
    yield "collectives:"
    rows = []
    for group in alike[:_COLLECTIVES]:
        module = pattern([one.module for one in group]) or f"{measurement.name} itself"
        calls, nbytes = sum(one.calls for one in group), sum(one.nbytes for one in group)
        rows.append((group[0].kind, module, times(calls).strip(), human(nbytes, "comm_bytes")))
    yield from _aligned(rows)
    if len(alike) > _COLLECTIVES:
        yield f"  + {len(alike) - _COLLECTIVES} more"


def _aligned(rows: Sequence[tuple[str, ...]], indent: int = 2) -> Iterator[str]:
    """Yield rows below each other, without the columns that are empty."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    for line in tabulate(list(zip(*columns, strict=True)), tablefmt="plain", disable_numparse=True).splitlines():
        yield (" " * indent + line).rstrip()


def _remedy(operator: str) -> str:
    """Return what to do about one of the unknown operators."""
    if operator.startswith("weights::"):
        return f"{operator} does not open, so its weights are not counted: limit the model before it is packed"
    if operator.startswith(_NO_OPERATORS):
        return f"{operator} is no operator: what it runs cannot be followed, so measure that by itself"
    return f'register one: @pytest_modelbudget.formula("{operator}")'
