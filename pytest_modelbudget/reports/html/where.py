"""What is wrong with a model, and where in it the cost stands: the lines that a reviewer reads first."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelbudget.measurement import percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import times
from pytest_modelbudget.outline import heaviest
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.message import remedies
from pytest_modelbudget.results.standings import Standing

_SHOWN = 3


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
    """Yield what changed since the baseline, or for each metric that is too high which layers cost most."""
    yield from (f"Since the baseline: {cause}" for cause in why(one.causes))
    if not one.causes:
        for found in one.excesses:
            if found.module is None:
                yield f"{METRICS[found.metric].label} are mostly in {_heaviest(one, found.metric)}"


def _heaviest(one: Standing, metric: str) -> str:
    """Return the layers that cost most: those alike are one, with the share of all of them."""
    assert one.model is not None
    groups = heaviest(one.model.measurement.modules, metric)
    total = sum(group.cost for group in groups)
    texts = [
        f"{group.name or 'the model itself'} {group.cls}{times(len(group.names))} ({percent(group.cost, total)})"
        for group in groups[:_SHOWN]
    ]
    rest = sum(group.cost for group in groups[_SHOWN:])
    return ", ".join(texts) + (f"; the other layers: {percent(rest, total)}" if rest else "")
