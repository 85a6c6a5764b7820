"""What the page needs to draw one model, as compact, compressed JSON: columns instead of rows, each name once."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from pytest_modelbudget.outline import pattern
from pytest_modelbudget.reports.html.nodes import Node, decoded, names, nodes
from pytest_modelbudget.results import ModelResult
from pytest_modelbudget.results.difference import Difference

_EXACT_IN_JAVASCRIPT: Final = 2**53
_OWN: Final = ("params", "trainable_params", "weight_bytes", "macs", "training_macs")
"""The metrics of which the others follow."""


def payload(model: ModelResult) -> str:
    """Return the tree, the operators and the changes of a model, compressed, as base64."""
    data = msgspec.json.encode(columns(model))
    return b64encode(zlib.compress(data, 9)).decode()


def columns(model: ModelResult) -> dict[str, Any]:
    """Return the tree, the operators and the changes of a model as builtins that JSON holds exactly."""
    measured = decoded(model)
    found = nodes(measured.modules)
    classes, operators, shapes = _Names(), _Names(), _Names()
    own = {metric: [getattr(node.module.own, metric) for node in found] for metric in _OWN}
    return {
        "name": measured.name,
        "flops_per_mac": measured.flops_per_mac,
        "parent": [node.parent for node in found],
        "segment": [node.segment for node in found],
        "many": {place: len(node.module.keys) for place, node in enumerate(found) if len(node.module.keys) > 1},
        "cls": [classes(node.module.cls) for node in found],
        "calls": [node.module.calls for node in found],
        "own": {
            metric: [_exact(one or 0) for one in values] for metric, values in own.items() if values[0] is not None
        },
        "aliases": {place: node.module.aliases for place, node in enumerate(found) if node.module.aliases},
        "outputs": {place: shapes(_shapes(node)) for place, node in enumerate(found) if node.module.outputs},
        "ran": _operators(found, operators, lambda node: node.module.operators),
        "unknown": _operators(found, operators, lambda node: node.module.unknown),
        "differences": [_difference(one) for one in model.differences],
        "growth": _growth(found, model.differences),
        "classes": list(classes),
        "operators": list(operators),
        "shapes": list(shapes),
    }


class _Names(dict[str, int]):
    """Names by the order in which they were first asked for."""

    def __call__(self, name: str) -> int:
        return self.setdefault(name, len(self))


def _exact(number: int) -> int | str:
    """Return a number, as text where JavaScript would round it."""
    return number if -_EXACT_IN_JAVASCRIPT < number < _EXACT_IN_JAVASCRIPT else str(number)


def _shapes(node: Node) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in node.module.outputs)


def _operators(found: Sequence[Node], known: _Names, of: Callable[[Node], Iterable[Any]]) -> list[list[Any]]:
    return [
        [place, known(name), calls, _exact(macs), None if training is None else _exact(training)]
        for place, node in enumerate(found)
        for name, calls, macs, training in of(node)
    ]


def _difference(one: Difference) -> dict[str, Any]:
    changes = [
        [change.kind, pattern(change.modules), change.cls, len(change.modules), _exact(change.amount)]
        + ([pattern(change.moved_from)] if change.moved_from else [])
        for change in one.changes
    ]
    return {"metric": one.metric, "before": _exact(one.before), "after": _exact(one.after), "changes": changes}


def _growth(found: Sequence[Node], differences: Sequence[Difference]) -> dict[str, dict[int, int | str]]:
    """Return by metric what the modules of each node have grown by themselves; those that vanished have no node."""
    if not differences:
        return {}
    places = dict(names(found))
    grown = {}
    for one in differences:
        amounts: dict[int, int] = defaultdict(int)
        for change in one.changes:
            for name in change.modules if change.kind not in ("moved", "vanished") else ():
                amounts[places[name]] += change.amount // len(change.modules)
        grown[one.metric] = {place: _exact(amount) for place, amount in amounts.items()}
    return grown
