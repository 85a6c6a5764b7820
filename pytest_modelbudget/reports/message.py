"""The text of a failed budget: what, by how much, where the limit stands, and where the cost comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from tabulate import tabulate

from pytest_modelbudget.budgets import Limit, Problem, Verdict
from pytest_modelbudget.budgets.config import ROOT, key_path
from pytest_modelbudget.measurement import Measurement, OperatorCost, human, percent
from pytest_modelbudget.reports.changes import because, telling, telling_excesses
from pytest_modelbudget.reports.heaviest import where_it_is
from pytest_modelbudget.reports.wording import (
    WITHOUT_INPUTS,
    beyond,
    circumstances,
    compared,
    compared_numbers,
    excess,
    listed,
    no_module,
    outside_of_modules,
    steeper,
    without_formula,
)
from pytest_modelbudget.results import ModelResult, Stale
from pytest_modelbudget.results.difference import Difference
from pytest_modelbudget.results.gathering import differing

Judged = tuple[Verdict, Measurement, tuple[Difference, ...]]
"""A verdict, its measurement, and what changed since the baseline."""

_NO_OPERATORS = ("asyncio::", "concurrent::", "multiprocessing::", "python::", "threading::")
"""Where the names of what is no operator begin: other threads and processes, and results that have yet to run."""


def failure(judged: Iterable[Judged], outside: Sequence[OperatorCost] = ()) -> str:
    """Return the message for verdicts with errors; the first line alone says what is wrong, and by how much.

    ``outside`` are the operators that ran outside of any module.
    """
    failed = [one for one in judged if one[0].errors]
    headlines = [
        f"{verdict.model}: {', '.join(map(_brief, telling_excesses(verdict.over)))}"
        for verdict, _, _ in failed
        if verdict.over
    ]
    lines = ["; ".join(dict.fromkeys(headlines))] if headlines else []
    blocks = dict.fromkeys("\n".join(_block(*one)) for one in failed)  # a test that runs many times makes equal models
    return "\n".join([*lines, *blocks, *([f"and {outside_of_modules(outside)}"] if outside else [])])


def _block(verdict: Verdict, measurement: Measurement, changed: tuple[Difference, ...]) -> Iterator[str]:
    if verdict.over:
        yield from _details(verdict, measurement, changed)
    for problem in verdict.errors:
        yield from _sentence(problem, verdict, measurement)


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
    if stale.inputs is not None:
        what = f"{stale.name} ({', '.join(stale.inputs) or 'no inputs'})"
        why = (
            "it was measured with other inputs, which are no growth but another entry"
            if stale.nearest
            else "it was renamed or removed"
        )
        return (
            f"no test measured {what}, which {stale.place} holds: {why}\n"
            "Accept that: pytest --modelbudget-update --modelbudget-prune"
        )
    if stale.declared:
        return (
            f"{stale.name} is declared at {stale.place}, and its item was not run: a hook or a plugin leaves it out\n"
            'Run it, or remove the entry; stale = "warn" in [tool.modelbudget] tolerates such entries.'
        )
    meant = f"; did you mean {stale.nearest}?" if stale.nearest else ""
    return (
        f"no test measured a model called {stale.name}, which {stale.place} limits{meant}\n"
        'Measure it, or remove the entry; stale = "warn" in [tool.modelbudget] tolerates such entries.'
    )


def _sentence(problem: Problem, verdict: Verdict, measurement: Measurement) -> Iterator[str]:
    """Yield what an error other than an excess says, and the remedy."""
    model = verdict.model
    if problem.kind == "not_measured":
        unplaced = ", ".join(dict.fromkeys(one.name for one in measurement.unplaced))
        remedy = (
            WITHOUT_INPUTS
            if measurement.macs is None
            else f"a scripted graph does not tell which part runs {unplaced}: limit the whole, or the model before it"
            " is scripted"
            if problem.module and unplaced
            else "observing runs no backward pass: use the model_budget fixture"
        )
        yield f"{model}: {problem.subject} is limited ({problem.place}) and was not measured; {remedy}"
    elif problem.kind == "unknown_operators":
        ran = without_formula(problem.operators, model)
        yield f"{model}: only a lower bound, for operators without a formula ran: {ran}"
        for operator in sorted({one.name for one in problem.operators}):
            yield f"  {_remedy(operator)}"
    elif problem.kind == "steeper" and problem.scaling is not None:
        yield f"{model}: {steeper(problem.scaling)}"
        yield f"  declared: {problem.place}"
        yield from (f"  at {size:,}: {human(value, problem.metric)}" for size, value in problem.scaling.points)
    elif problem.kind == "no_module":
        yield no_module(problem, model)
    elif problem.kind == "new":
        yield f'{model}: is not in the baseline, and new = "error"; accept it: pytest --modelbudget-update'
    elif problem.kind == "unbudgeted":
        yield (
            f'{model}: no limit applies, and unbudgeted = "error"; give one to the call, to a mark, or to the model in '
            f"the table: [{key_path((*ROOT, 'models', model))}]"
        )


def _brief(problem: Problem) -> str:
    value, limit = _compared(problem)
    share = percent(*beyond(problem))
    above = f"{limit} before" if problem.kind == "grown" else limit
    return f"{problem.subject} {value} > {above}" + (f" (+{share})".replace("+<", "<") if share else "")


def _compared(problem: Problem) -> tuple[str, str]:
    if problem.limit is not None:
        return compared(problem.metric, problem.value, problem.limit)
    return compared_numbers(problem.metric, problem.value or 0, problem.before or 0)


def _declared(problem: Problem) -> str:
    if problem.growth is None:
        return str(problem.place)
    where = f" ({problem.place})" if problem.place else ""
    return f"the baseline, growth {problem.growth.text}{where}"


def _details(verdict: Verdict, measurement: Measurement, changed: tuple[Difference, ...]) -> Iterator[str]:
    rows = [("metric", "value", "limit", "over by", "declared")]
    rows += [(one.subject, *_compared(one), excess(one), _declared(one)) for one in verdict.over]
    over = {problem.subject for problem in verdict.over}
    within = [
        f"{check.subject} {' / '.join(compared(check.metric, check.value, check.limit))}"
        for check in (*verdict.checks, *verdict.parts)
        if check.limit is not None and check.value is not None and check.subject not in over
    ]
    yield ""
    yield f"  {verdict.model}"
    yield from _aligned(rows)
    if within:
        yield f"  within: {', '.join(within)}"
    yield f"  counted: {'; '.join(circumstances(measurement))}"
    yield from (f"  since the baseline: {because(difference)}" for difference in telling(changed))
    if any(problem.kind == "grown" for problem in verdict.over):
        yield "  accept it, if it is meant: pytest --modelbudget-update"
    for module in dict.fromkeys(problem.module for problem in verdict.over):
        metrics = dict.fromkeys(one.metric for one in verdict.over if one.module == module)
        yield from _heaviest(measurement, module, metrics)
    for problem in verdict.over:
        yield from _hint(problem, measurement)
    if verdict.message:
        yield f"  note: {verdict.message}"


def _heaviest(measurement: Measurement, module: str | None, metrics: Iterable[str]) -> Iterator[str]:
    root = next(one for one in measurement.modules.walk() if one.name == (module or ""))
    for part in where_it_is(root, measurement.name, metrics):
        yield f"  heaviest modules{f' of {module}' if module else ''} by {listed(part.metrics)}:"
        yield from _aligned(part.rows, indent=4)
        if part.rest:
            yield f"    {part.rest}"


def _hint(problem: Problem, measurement: Measurement) -> Iterator[str]:
    """Tell those who took a paper's MACs, which papers call FLOPs, for FLOPs."""
    macs = {"flops": measurement.macs, "training_flops": measurement.training_macs}.get(problem.metric)
    limit = problem.limit
    if macs is None or limit is None or measurement.flops_per_mac == 1:
        return
    if macs <= limit.value + _half_of_last_digit(limit) and macs * 5 >= limit.value * 4:
        meant = problem.metric.replace("flops", "macs")
        text = limit.text.replace(" ", "").replace(",", "_")
        yield f"  hint: {measurement.name}'s {limit.text} are MACs; did you mean {meant}='{text}'?"


def _half_of_last_digit(limit: Limit) -> Fraction:
    """Return what rounding may have taken away: 0.05 G of a limit that was declared as 4.1 G."""
    number = limit.text.partition(" ")[0].replace(",", "")
    decimals = len(number.partition(".")[2])
    unit = Fraction(limit.value, 1) / Fraction(number) if limit.value else Fraction(1)
    return Fraction(1, 2 * 10**decimals) * unit


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
    return f'register one: @pytest_modelbudget.formula("{operator}") above a function that returns its MACs'
