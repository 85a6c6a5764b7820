"""What is wrong with a model, and where in it the cost stands: the lines that a reviewer reads first."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.heaviest import in_sentences
from pytest_modelbudget.reports.message import remedies
from pytest_modelbudget.results.standings import Standing


def problems(one: Standing) -> Iterator[tuple[str, str]]:
    """Yield what is wrong beside metrics that are too high, and how to go on; then where the limit stands."""
    assert one.model is not None
    for text in remedies(one.verdict, one.model.measurement):
        head, _, rest = text.partition("\n")
        yield head, rest.strip()
    if one.excesses and one.place is not None:
        accept = "accept the growth: pytest --modelbudget-update" if any(found.grown for found in one.excesses) else ""
        yield f"declared at {one.place}", accept


def where(one: Standing) -> Iterator[str]:
    """Yield what changed since the baseline, or where the metrics are that are too high."""
    assert one.model is not None
    yield from (f"Since the baseline: {cause}" for cause in why(one.causes))
    metrics = [found.metric for found in one.excesses if found.module is None] if not one.causes else []
    found = in_sentences(one.model.measurement.modules, one.name, metrics) if metrics else ()
    yield from (f"Heaviest by {text}" for text in found)
