"""What the page needs to draw one model, as compact, compressed JSON: columns instead of rows, each name once.

Numbers are exact in JavaScript too, and as a multiple of others where they are one.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from pytest_modelbudget.measurement import MemoryCost
from pytest_modelbudget.names import pattern
from pytest_modelbudget.outline import sizes
from pytest_modelbudget.reports.html.nodes import Node, decoded, names, nodes
from pytest_modelbudget.results import ModelResult
from pytest_modelbudget.results.difference import Change, Difference

_OWN: Final = ("params", "trainable_params", "weight_bytes", "macs", "training_macs")
"""The metrics of which the others follow."""

_EXACT_IN_JAVASCRIPT: Final = 2**53


def payload(model: ModelResult) -> str:
    """Return the tree, the operators and the changes of a model, compressed, as base64."""
    data = msgspec.json.encode(columns(model))
    return b64encode(zlib.compress(data, 9)).decode()


def columns(model: ModelResult) -> dict[str, Any]:
    """Return the tree, the operators and the changes of a model as builtins that JSON holds exactly."""
    measured = decoded(model)
    found = nodes(measured.modules)
    classes, operators, shapes = _Names(), _Names(), _Names()
    return {
        "name": measured.name,
        "flops_per_mac": measured.flops_per_mac,
        "parent": [node.parent for node in found],
        "segment": [node.segment for node in found],
        "many": {place: len(node.module.keys) for place, node in enumerate(found) if len(node.module.keys) > 1},
        "cls": [classes(node.module.cls) for node in found],
        "calls": [node.module.calls for node in found],
        "own": _own(found),
        "aliases": {place: node.module.aliases for place, node in enumerate(found) if node.module.aliases},
        "outputs": {place: shapes(sizes(node.module)) for place, node in enumerate(found) if node.module.outputs},
        "ran": _operators(found, operators, lambda node: node.module.operators),
        "unknown": _operators(found, operators, lambda node: node.module.unknown),
        **_growth(found, model.differences),
        "memory": _memory(measured.memory),
        "classes": list(classes),
        "operators": list(operators),
        "shapes": list(shapes),
    }


class _Names(dict[str, int]):
    """Names by the order in which they were first asked for."""

    def __call__(self, name: str) -> int:
        return self.setdefault(name, len(self))


def _own(found: Sequence[Node]) -> dict[str, Any]:
    """Return by metric what a module of each node costs by itself; metrics that were not measured are left out."""
    known: dict[str, list[int]] = {}
    shown = {}
    for metric in _OWN:
        values = [getattr(node.module.own, metric) for node in found]
        if values[0] is not None:
            numbers = [value or 0 for value in values]
            shown[metric] = compact(numbers, known)
            known[metric] = numbers
    return shown


def _operators(found: Sequence[Node], known: _Names, of: Callable[[Node], Iterable[Any]]) -> list[list[Any]]:
    """Return node, name and calls of each operator, and its MACs where they are not all that its module has."""
    shown: list[list[Any]] = []
    for place, node in enumerate(found):
        own = node.module.own
        for name, calls, macs, training in of(node):
            costs = [] if (macs, training) == (own.macs, own.training_macs) else [_exact(macs)]
            if costs and training is not None:
                costs.append(_exact(training))
            shown.append([place, known(name), calls, *costs])
    return shown


def _memory(memory: MemoryCost | None) -> dict[str, Any] | None:
    """Return the curve of the bytes that are alive, and where its peak is; None where nothing is."""
    if memory is None or not memory.peak_bytes:
        return None
    return {
        "live": [_exact(nbytes) for nbytes in memory.live],
        "stretch": memory.stretch,
        "operator": memory.operator,
        "module": memory.module,
    }


def _growth(found: Sequence[Node], differences: Sequence[Difference]) -> dict[str, Any]:
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
                "before": _exact(difference.before),
                "after": _exact(difference.after),
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


def _exact(number: int) -> int | str:
    """Return a number, as text where JavaScript would round it."""
    return number if -_EXACT_IN_JAVASCRIPT < number < _EXACT_IN_JAVASCRIPT else str(number)


def compact(values: Sequence[int], known: Mapping[str, Sequence[int]]) -> Any:
    """Return values as they are, or as so many times those that are known by a name: bytes are four times params."""
    for name, others in known.items():
        times = _times(values, others)
        if times is not None:
            return {"like": name, "times": _exact(times)}
    return [_exact(value) for value in values]


def _times(values: Sequence[int], others: Sequence[int]) -> int | None:
    first = next(((value, other) for value, other in zip(values, others, strict=False) if other), None)
    if first is None or len(values) != len(others):
        return None
    times = first[0] // first[1]
    return times if all(value == times * other for value, other in zip(values, others, strict=True)) else None
