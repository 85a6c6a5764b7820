"""Where the cost of a model is: its heaviest modules, repeated ones as one, until they are most of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pytest_modelbudget.measurement import ModuleCost, in_one_unit, percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import times
from pytest_modelbudget.outline import Group, heaviest
from pytest_modelbudget.reports.wording import counted, listed

_ENOUGH = 80  # percent of the cost
_MOST = 8  # lines


class Part(NamedTuple):
    """The heaviest modules by ``metrics``: name, class, number, cost and share of each, and how much is not shown."""

    metrics: list[str]
    rows: Sequence[tuple[str, ...]]
    rest: str


def where_it_is(root: ModuleCost, name: str, metrics: Iterable[str]) -> Iterator[Part]:
    """Yield the heaviest modules of ``root`` for each metric; what is the same for several metrics is said once."""
    parts: dict[tuple[tuple[str, ...], ...], Part] = {}
    for metric in (metric for metric in metrics if METRICS[metric].has_parts):
        total = getattr(root.total, metric) or 0
        shown, left = _most_of(heaviest(root, metric))
        costs = in_one_unit([group.cost for group in shown], metric)
        rows = [
            (*_named(group, name), cost, percent(group.cost, total)) for group, cost in zip(shown, costs, strict=True)
        ]
        number, cost = sum(len(group.names) for group in left), sum(group.cost for group in left)
        rest = f"+ {counted(number, 'more module')} with {percent(cost, total)}" if left else ""
        shown_of_each = tuple((*row[:3], row[4]) for row in rows)
        parts.setdefault(shown_of_each, Part([], rows, rest)).metrics.append(metric)
    return (part for part in parts.values() if part.rows)


def in_sentences(
    root: ModuleCost, name: str, metrics: Iterable[str], shown_as: Callable[[str], str] = str
) -> Iterator[str]:
    """Yield in a line for each metric where it is: ``MACs: layers.*.up x12 31.8%, + 5 more modules with 68.2%``."""
    for part in where_it_is(root, name, metrics):
        modules = [" ".join(filter(None, (shown_as(module), times, share))) for module, _, times, _, share in part.rows]
        labels = listed([METRICS[metric].label for metric in part.metrics])
        yield f"{labels}: {', '.join([*modules, *filter(None, [part.rest])])}"


def _most_of(groups: Sequence[Group]) -> tuple[Sequence[Group], Sequence[Group]]:
    """Return the heaviest groups, until they are most of the cost or many lines, and the others."""
    total, covered, shown = sum(group.cost for group in groups), 0, 0
    while shown < min(len(groups), _MOST) and covered * 100 < total * _ENOUGH:
        covered += groups[shown].cost
        shown += 1
    shown += shown == len(groups) - 1  # a line that says so is no shorter than the last one
    return groups[:shown], groups[shown:]


def _named(group: Group, model: str) -> tuple[str, str, str]:
    return group.name or f"{model} itself", group.cls, times(len(group.names)).strip()
