"""What the page needs to draw one model, as compact, compressed JSON: columns instead of rows, each name once."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from pytest_modelbudget.outline import sizes
from pytest_modelbudget.reports.html.growth import growth
from pytest_modelbudget.reports.html.nodes import Node, decoded, nodes
from pytest_modelbudget.reports.html.sparing import exact, told
from pytest_modelbudget.results import ModelResult

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
        **growth(found, model.differences),
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
            shown[metric] = told(numbers, known)
            known[metric] = numbers
    return shown


def _operators(found: Sequence[Node], known: _Names, of: Callable[[Node], Iterable[Any]]) -> list[list[Any]]:
    """Return node, name and calls of each operator, and its MACs where they are not all that its module has."""
    shown: list[list[Any]] = []
    for place, node in enumerate(found):
        own = node.module.own
        for name, calls, macs, training in of(node):
            costs = [] if (macs, training) == (own.macs, own.training_macs) else [exact(macs)]
            if costs and training is not None:
                costs.append(exact(training))
            shown.append([place, known(name), calls, *costs])
    return shown
