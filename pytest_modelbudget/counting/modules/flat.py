"""Modules with a graph that runs the operators of their parts: scripted, traced and exported ones never call these."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import torch

from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.torch_private import storage_identity, storage_of

_ASSIGNED = re.compile(r"\s*(\w+)")
_KINDS = (torch.jit.ScriptModule, torch.fx.GraphModule)


class FlatGraphs:
    """The modules of one model that have such a graph, and to which part an operator in it belongs."""

    def __init__(self, index: ModuleIndex) -> None:
        self._index = index
        self._owners: dict[int, int | None] = {}
        self._paths: dict[int, dict[str, str | None]] = {}
        self.positions: frozenset[int] = frozenset()
        if any(issubclass(kind, _KINDS) for kind in index.classes):
            nodes = enumerate(index.nodes)
            self.positions = frozenset([position for position, node in nodes if isinstance(node.module, _KINDS)])

    def part_that_runs(self, running: Sequence[int], operands: Any) -> int | None:
        """Return the part to which an operator belongs that the graph of the innermost running module runs.

        It is the one whose forward the line was traced in, or else the owner of a weight among the operands. None where
        neither tells.
        """
        module = self._index.nodes[running[-1]].module
        outermost = next(position for position in running if position in self.positions)
        path = self._path_of_line(module) if isinstance(module, torch.fx.GraphModule) else None
        if path is not None:
            return self._index.position_below(outermost, path)
        owners = self._owners or self._read_owners()
        for operand in _flattened(operands):
            if isinstance(operand, torch.Tensor) and operand.layout is torch.strided:
                owner = owners.get(storage_identity(storage_of(operand)))
                if owner is not None:
                    return owner
        return None if self._index.nodes[outermost].children else outermost

    def _read_owners(self) -> dict[int, int | None]:
        """Return the owner of each storage that only one module has: which of two runs a shared one is not known."""
        for position, node in enumerate(self._index.nodes):
            for tensor in node.module.parameters(recurse=False):
                if tensor.layout is torch.strided:
                    key = storage_identity(storage_of(tensor))
                    self._owners[key] = position if self._owners.get(key, position) == position else None
        return self._owners

    def _path_of_line(self, module: torch.fx.GraphModule) -> str | None:
        """Return the qualified name of the part in which the running line of the generated code was traced."""
        code = type(module).forward.__code__
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not code:
            frame = frame.f_back
        if frame is None:
            return None
        paths = self._paths.get(id(module))
        if paths is None:
            paths = self._paths[id(module)] = _paths_of(module)
        name = _ASSIGNED.match(linecache.getline(code.co_filename, frame.f_lineno))
        return paths.get(name[1]) if name else None


def _paths_of(module: torch.fx.GraphModule) -> dict[str, str | None]:
    """Return in which part each node was traced. A symbolic trace leaves it out for the model itself."""
    stacks = {node.name: [*(node.meta.get("nn_module_stack") or {}).values()] for node in module.graph.nodes}
    is_symbolic = {stack[0][0] == "" for stack in stacks.values() if stack} == {False}
    untold = "" if is_symbolic else None
    return {name: stack[-1][0] if stack else untold for name, stack in stacks.items()}


def _flattened(operands: Any) -> Iterator[Any]:
    for operand in operands:
        if isinstance(operand, (list, tuple)):
            yield from _flattened(operand)
        else:
            yield operand
