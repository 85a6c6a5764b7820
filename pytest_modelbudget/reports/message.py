"""The text of a failed budget: what, by how much, where the limit stands, and where the cost comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from pytest_modelbudget.budgets import Limit, MetricVerdict, Row, Verdict
from pytest_modelbudget.measurement import Measurement, ModuleCost, human
from pytest_modelbudget.reports.wording import circumstances, compared, counted, excess, percent

_HEAVIEST = 5


def exceeded(judged: Iterable[tuple[Verdict, Measurement]]) -> str:
    """Return the message for models over budget; the first line alone says what, by how much and of what limit."""
    over = [(verdict, measurement) for verdict, measurement in judged if verdict.over]
    headline = "; ".join(f"{verdict.model}: {', '.join(map(_brief, verdict.over))}" for verdict, _ in over)
    return "\n".join([headline, *(line for verdict, measurement in over for line in _details(verdict, measurement))])


def unjudgeable(verdicts: Iterable[Verdict], needs: str) -> str:
    """Return why these verdicts cannot be trusted, or nothing; ``needs`` tells how to measure what was not."""
    return "\n".join(line for verdict in verdicts for line in _obstacles(verdict, needs))


def contradiction(one: Row, other: Row) -> str:
    """Return the message for two different measurements under one name."""
    theirs = {metric.metric: metric.value for metric in other.verdict.metrics}
    differing = [
        f"{metric.metric} {metric.value:,} and {theirs[metric.metric]:,}"
        for metric in one.verdict.metrics
        if metric.value is not None and theirs.get(metric.metric) not in (None, metric.value)
    ]
    return (
        f"two different models are called {one.verdict.model}: {', '.join(differing)}\n"
        f"  {one.tests[0]}\n  {other.tests[0]}\n"
        'Give one of them a name of its own: model_budget(..., name="...") or @pytest.mark.budget(name="...").'
    )


def _obstacles(verdict: Verdict, needs: str) -> Iterator[str]:
    for metric in verdict.unchecked:
        limit = metric.limit or metric.warn
        assert limit is not None
        yield f"{verdict.model}: {metric.metric} is limited ({limit.place}) and was not measured; {needs}"
    if verdict.unknown and verdict.unknown_ops == "error":
        operators = sorted({operator.partition(" ")[0] for operator in verdict.unknown})
        yield f"{verdict.model}: only a lower bound, for operators without a formula ran: {', '.join(verdict.unknown)}"
        for operator in operators:
            yield f'  register one: @pytest_modelbudget.formula("{operator}") above a function that returns its MACs'
    if not verdict.budgeted and verdict.unbudgeted == "error":
        yield (
            f'{verdict.model}: no limit applies, and unbudgeted = "error"; give the call or mark one, '
            f"or add [tool.modelbudget.models.{verdict.model}]"
        )


def _brief(metric: MetricVerdict) -> str:
    assert metric.value is not None
    assert metric.limit is not None
    value, limit = compared(metric.metric, metric.value, metric.limit)
    share = percent(metric.value - metric.limit.value, metric.limit.value)
    return f"{metric.metric} {value} > {limit}" + (f" (+{share})".replace("+<", "<") if share else "")


def _details(verdict: Verdict, measurement: Measurement) -> Iterator[str]:
    rows = [("metric", "value", "limit", "over by", "declared")]
    within = []
    for metric in verdict.metrics:
        if metric.limit is None or metric.unchecked:
            continue
        value, limit = compared(metric.metric, metric.value, metric.limit)
        if metric.over:
            rows.append((metric.metric, value, limit, excess(metric), str(metric.limit.place)))
        else:
            within.append(f"{metric.metric} {value} / {limit}")
    yield ""
    yield f"  {verdict.model}"
    yield from _aligned(rows)
    if within:
        yield f"  within: {', '.join(within)}"
    yield f"  counted: {'; '.join(circumstances(measurement))}"
    yield from _heaviest(measurement, verdict.over[0].metric)
    if verdict.unknown:
        yield f"  a lower bound, for operators without a formula ran: {', '.join(verdict.unknown)}"
    for metric in verdict.over:
        yield from _hint(metric, measurement)
    if verdict.message:
        yield f"  note: {verdict.message}"


def _heaviest(measurement: Measurement, metric: str) -> Iterator[str]:
    """Yield the modules that cost most by themselves."""
    costs = [(getattr(module.own, metric) or 0, module) for module in measurement.modules.walk()]
    ranked = sorted((pair for pair in costs if pair[0]), key=lambda pair: -pair[0])
    total = getattr(measurement, metric) or 0
    if not ranked:
        return
    yield f"  heaviest modules by {metric}:"
    rows = [
        (_name(module, measurement), module.cls, human(cost, metric), percent(cost, total)) for cost, module in ranked
    ]
    yield from _aligned(rows[:_HEAVIEST], indent=4)
    if len(rows) > _HEAVIEST:
        rest = sum(cost for cost, _ in ranked[_HEAVIEST:])
        yield f"    + {counted(len(rows) - _HEAVIEST, 'more module')} with {percent(rest, total)}"


def _name(module: ModuleCost, measurement: Measurement) -> str:
    return module.name or f"{measurement.name} itself"


def _hint(metric: MetricVerdict, measurement: Measurement) -> Iterator[str]:
    """Tell those who took a paper's MACs, which papers call FLOPs, for FLOPs."""
    macs = {"flops": measurement.macs, "training_flops": measurement.training_macs}.get(metric.metric)
    if macs is None or metric.limit is None or measurement.flops_per_mac == 1:
        return
    limit = metric.limit
    if macs <= limit.value + _half_of_last_digit(limit) and macs * 5 >= limit.value * 4:
        meant = metric.metric.replace("flops", "macs")
        text = limit.text.replace(" ", "").replace(",", "_")
        yield f"  hint: {measurement.name}'s {limit.text} are MACs; did you mean {meant}='{text}'?"


def _half_of_last_digit(limit: Limit) -> Fraction:
    """Return what rounding may have taken away: 0.05 G of a limit that was declared as 4.1 G."""
    number = limit.text.partition(" ")[0].replace(",", "")
    decimals = len(number.partition(".")[2])
    unit = Fraction(limit.value, 1) / Fraction(number) if limit.value else Fraction(1)
    return Fraction(1, 2 * 10**decimals) * unit


def _aligned(rows: Sequence[tuple[str, ...]], indent: int = 2) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield " " * indent + "  ".join(cells).rstrip()
