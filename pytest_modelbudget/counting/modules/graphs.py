"""What the graphs of TorchScript and of exported programs say.

Weights in them that are no parameters, operators that no mode sees, and the classes that modules had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.operators.packed import contents, name_of


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes in a graph, and in the blocks below them."""
    for node in graph.nodes() if graph is not None else ():
        yield node
        for block in node.blocks():
            yield from _nodes(block)


def weights_in_graph(module: Any) -> Iterator[tuple[str, str, list[torch.Tensor] | None]]:
    """Yield the packed objects that a scripted module uses, and the constants of a frozen one, whose weights they are.

    As ``packed_weights`` does. A frozen graph does not tell weights from other constants.
    """
    graph: Any = getattr(module, "inlined_graph", None)
    objects: dict[str, tuple[str, Any]] = {}
    yielded: set[str] = set()
    for node in _nodes(graph):
        objects = objects or {next(graph.inputs()).debugName(): ("", module)}
        if node.kind() == "prim::GetAttr":
            path, owner = objects.get(node.input().debugName(), ("", None))
            if owner is not None and node.output().type().kind() == "ClassType":
                found = getattr(owner, node.s("name"))
                inside = f"{path}{node.s('name')}."
                if _is_packed(node.output()) and inside not in yielded:
                    yielded.add(inside)
                    yield path[:-1], name_of(found), contents(found)
                objects[node.output().debugName()] = inside, found
        elif node.kind() == "prim::Constant" and node.hasAttribute("value"):
            kind = node.kindOf("value")
            if kind == "ival" and _is_packed(node.output()):
                yield "", name_of(node.ival("value")), contents(node.ival("value"))
            elif kind in ("t", "ts") and not hasattr(module, "training"):
                yield "", "", [node.t("value")] if kind == "t" else node.ts("value")


def exported_classes(module: nn.Module) -> dict[str, str]:
    """Return the names of the classes that the parts of an exported program had, by their qualified names."""
    found: dict[str, str] = {}
    if isinstance(module, torch.fx.GraphModule):
        for node in module.graph.nodes:
            for path, kind in (node.meta.get("nn_module_stack") or {}).values():
                if isinstance(kind, str):  # a symbolic trace has the classes themselves, and keeps the modules
                    found[path] = kind.rpartition(".")[2]
    return found


def _is_packed(value: Any) -> bool:
    """Return whether a value is an object of a class in C++; other objects are modules."""
    return ".torch.classes." in str(value.type().str())


def unseen_operators(module: nn.Module) -> Iterator[str]:
    """Yield the operators of TorchScript's own that no mode sees.

    Graphs that were frozen for inference hold them: ``prim::mkldnn_convolution``. So do those that fork.
    """
    for node in _nodes(getattr(module, "inlined_graph", None)):
        kind = str(node.kind())
        known = kind.lower().startswith(("prim::mkldnn", "mkldnn::", "tensorrt::"))
        if known or kind == "prim::fork" or kind.endswith("Group"):  # another thread, kernels fused to one
            yield kind
