"""What changed since the baseline, for the page: each change of modules once, and its amounts by metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from pytest_modelbudget.names import pattern
from pytest_modelbudget.reports.html.nodes import Node, names
from pytest_modelbudget.reports.html.sparing import compact, exact
from pytest_modelbudget.results.difference import Change, Difference


def growth(found: Sequence[Node], differences: Sequence[Difference]) -> dict[str, Any]:
    """Return ``changed``, the modules that changed alike, and ``differences``, which point to them by their place.

    A change is its kind and the node of its one module, or its kind, name, class, number of modules, how many of them
    each node has, and their name before. Those that vanished or are only called otherwise have grown in no node.
    """
    if not differences:
        return {"changed": [], "differences": []}
    places = dict(names(found))
    known: dict[Hashable, int] = {}
    changed: list[list[Any]] = []
    amounts: dict[tuple[int, ...], dict[str, list[int]]] = {}
    shown_differences = []
    for difference in differences:
        for change in difference.changes:
            if _key(change) not in known:
                known[_key(change)] = len(changed)
                changed.append(_change(change, found, places))
        order = tuple(known[_key(change)] for change in difference.changes)
        values = [change.amount for change in difference.changes]
        in_the_same_order = amounts.setdefault(order, {})
        shown = compact(values, in_the_same_order)
        shown_differences.append(
            {
                "metric": difference.metric,
                "before": exact(difference.before),
                "after": exact(difference.after),
                "amounts": shown,
                "changes": order if isinstance(shown, list) else None,
            }
        )
        in_the_same_order[difference.metric] = values
    return {"changed": changed, "differences": shown_differences}


def _key(change: Change) -> Hashable:
    return change.kind, change.modules, change.moved_from


def _change(change: Change, found: Sequence[Node], places: Mapping[str, int]) -> list[Any]:
    there = () if change.kind in ("moved", "vanished") else change.modules
    if len(there) == 1 and found[places[there[0]]].path == there[0]:
        return [change.kind, places[there[0]]]
    many = [[place, number] for place, number in Counter(places[name] for name in there).items()]
    before = [pattern(change.moved_from)] if change.moved_from else []
    return [change.kind, pattern(change.modules), change.cls, len(change.modules), many, *before]
