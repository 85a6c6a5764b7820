"""The folded module tree of a measurement as a flat list, parents first: layers that are alike are one node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from pytest_modelbudget.folding import FoldedModule
from pytest_modelbudget.names import ranges
from pytest_modelbudget.results import ModelResult
from pytest_modelbudget.results.folding import FoldedMeasurement


@dataclass(frozen=True, slots=True)
class Node:
    """Modules that are alike: ``segment`` is the last part of their name, ``count`` how many the model has of them."""

    parent: int
    segment: str
    path: str
    count: int
    module: FoldedModule


def decoded(model: ModelResult) -> FoldedMeasurement:
    """Return the measurement of a model as it was stored: folded."""
    return msgspec.json.decode(model.result.encoded, type=FoldedMeasurement)


def nodes(root: FoldedModule) -> list[Node]:
    """Return the nodes of a tree; the first is the model itself."""
    found: list[Node] = []
    _add(found, Node(-1, "", "", 1, root))
    return found


def _add(found: list[Node], node: Node) -> None:
    found.append(node)
    place = len(found) - 1
    folds = sum(len(child.keys) > 1 for child in node.module.children)
    for child in node.module.children:
        all_of_them = folds == 1 and all(key.isdecimal() for key in child.keys)
        segment = child.keys[0] if len(child.keys) == 1 else "*" if all_of_them else f"{{{ranges(child.keys)}}}"
        path = f"{node.path}.{segment}" if node.path else segment
        _add(found, Node(place, segment, path, node.count * len(child.keys), child))


def names(found: Sequence[Node]) -> Iterator[tuple[str, int]]:
    """Yield the qualified name of every module with the place of its node."""
    of: list[list[str]] = []
    for place, node in enumerate(found):
        above = of[node.parent] if place else [""]
        full = [f"{name}.{key}" if name else key for name in above for key in node.module.keys]
        of.append(full)
        yield from ((name, place) for name in full)
