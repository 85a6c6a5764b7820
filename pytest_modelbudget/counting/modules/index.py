"""The modules of a model: their qualified names, and the parameters and buffers that each of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter, is_, methodcaller
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from pytest_modelbudget.counting.modules.outputs import Shapes, ShapesOf
from pytest_modelbudget.counting.torch_private import (
    coo_values,
    held_by,
    mkldnn_layout,
    own_buffers,
    own_parameters,
    submodules,
)

_values = methodcaller("values")
_requires_grad, _dtype = attrgetter("requires_grad"), attrgetter("dtype")
_LAZY_TYPES = frozenset((UninitializedParameter, UninitializedBuffer))


def class_name(module: nn.Module) -> str:
    """Return the name of a module's class; that of a scripted module is the name it had before."""
    scripted = isinstance(module, torch.jit.ScriptModule)
    return escaped(str(module.original_name) if scripted else type(module).__name__)


def escaped(name: str) -> str:
    """Return a name with everything that cannot be printed replaced by its backslash escape."""
    if name.isprintable():
        return name
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in name])


class ModuleNode:
    """One module of a model, under the first qualified name that holds it."""

    __slots__ = (
        "aliases",
        "calls",
        "children",
        "module",
        "name",
        "outputs",
        "params",
        "trainable_params",
        "weight_bytes",
    )

    def __init__(self, module: nn.Module, name: str) -> None:
        self.module = module
        self.name = name
        self.aliases: tuple[str, ...] = ()
        self.children: Sequence[int] = ()
        self.calls = 0
        self.outputs: Shapes | None = None
        self.params = self.trainable_params = self.weight_bytes = 0

    def note_output(self, output: Any, shapes_of: ShapesOf) -> None:
        """Keep the shapes of what the first call returned."""
        if self.outputs is None:
            self.outputs = shapes_of(output)


def _stored_bytes(tensor: torch.Tensor) -> int:
    """Return the bytes of the elements that a tensor without strides stores; an MKL-DNN tensor stores all of them."""
    if tensor.layout is torch.sparse_coo:
        tensor = coo_values(tensor)
    elif tensor.layout is not mkldnn_layout:
        tensor = tensor.values()
    return tensor.numel() * tensor.element_size()


class ModuleIndex:
    """All modules of a model in the order of definition; the model itself is the first.

    ``positions`` finds them by identity. ``parameters`` and ``buffers`` are the distinct tensors; each belongs to the
    first module that holds it, and what is both is a parameter. ``classes`` are those of the modules.
    ``has_lazy_tensors``: some had no shape yet when they were counted.
    """

    def __init__(self, model: nn.Module) -> None:
        self.nodes: list[ModuleNode] = []
        self.positions: dict[int, int] = {}
        self._add(model, "")
        self.classes = {type(node.module) for node in self.nodes}
        self._escape_names()
        self.count_tensors()

    def _add(self, module: nn.Module, name: str) -> None:
        nodes, positions = self.nodes, self.positions
        positions[id(module)] = len(nodes)
        node = ModuleNode(module, name)
        nodes.append(node)
        children = submodules(module)
        if not children:
            return
        prefix = f"{name}." if name else ""
        node.children = found = []
        for key, child in children.items():
            if child is None:
                continue
            known = positions.get(id(child))
            if known is None:
                found.append(len(nodes))
                self._add(child, prefix + key)
            else:
                nodes[known].aliases += (escaped(prefix + key),)

    def _escape_names(self) -> None:
        if not "".join([node.name for node in self.nodes]).isprintable():
            for node in self.nodes:
                node.name = escaped(node.name)

    def count_tensors(self) -> None:
        """Count params, trainable params and bytes as they are now."""
        for node in self.nodes:
            node.params = node.trainable_params = node.weight_bytes = 0
        tables = self._tables()
        self._counts, self._held = _contents(tables)
        self.has_lazy_tensors = False
        self._kinds: tuple[list[bool], list[torch.dtype]] = [], []
        self.parameters = self._count_distinct(tables[1::3], (), are_parameters=True)
        self.buffers = self._count_distinct(tables[2::3], self.parameters, are_parameters=False)

    def _tables(self) -> list[dict[str, Any]]:
        """Return the modules, the parameters and the buffers that a module holds, of one module after the other."""
        return [*chain.from_iterable([held_by(node.module) for node in self.nodes])]

    def _count_distinct(
        self, tables: list[dict[str, Any]], known: Iterable[torch.Tensor], *, are_parameters: bool
    ) -> list[torch.Tensor]:
        """Count the tensors of a kind, but for those already known, each for the first module that holds it."""
        found: list[torch.Tensor] = []
        seen = set(map(id, known))
        strided, (trainable, dtypes) = torch.strided, self._kinds
        for node, by_name in zip(self.nodes, tables, strict=True):
            for tensor in by_name.values() if by_name else ():
                if tensor is None or id(tensor) in seen:
                    continue
                seen.add(id(tensor))
                found.append(tensor)
                dtype = tensor.dtype
                dtypes.append(dtype)
                trains = are_parameters and tensor.requires_grad
                if are_parameters:
                    trainable.append(trains)
                if type(tensor) in _LAZY_TYPES:
                    self.has_lazy_tensors = True
                    continue
                numel = tensor.numel()
                node.weight_bytes += numel * dtype.itemsize if tensor.layout is strided else _stored_bytes(tensor)
                if are_parameters:
                    node.params += numel
                    node.trainable_params += numel if trains else 0
        return found

    def _kinds_of_tensors(self) -> tuple[list[bool], list[torch.dtype]]:
        """Return which parameters are trainable, and the dtypes of parameters and buffers."""
        return [*map(_requires_grad, self.parameters)], [*map(_dtype, chain(self.parameters, self.buffers))]

    def size(self) -> tuple[int, ...]:
        """Return the params, bytes and trainable params of all modules."""
        sizes = [(node.params, node.weight_bytes, node.trainable_params) for node in self.nodes]
        return tuple(map(sum, zip(*sizes, strict=True)))

    def has_changed(self, *, holds_the_same: bool = False) -> bool:
        """Return whether the model has other modules or tensors by now, or other dtypes or weights to train.

        ``holds_the_same``: it is known that the modules and tensors are the same.
        """
        if not holds_the_same:
            counts, held = _contents(self._tables())
            if counts != self._counts or not all(map(is_, held, self._held)):
                return True
        return self._kinds_of_tensors() != self._kinds

    def replace_lazy_tensors(self) -> None:
        """Put an equal, uninitialized tensor in the place of every lazy one, for a run whose traces will be removed."""
        for node in self.nodes:
            for by_name in (own_parameters(node.module), own_buffers(node.module)):
                for name, tensor in list(by_name.items()):
                    if tensor is not None and is_lazy(tensor):
                        by_name[name] = _uninitialized_twin(tensor)

    def unseen_operators(self) -> Iterator[tuple[int, str]]:
        """Yield the operators of TorchScript's own that no mode sees, each with the position of the module it is in.

        Graphs that were frozen for inference hold them: ``prim::mkldnn_convolution``. So do those that fork.
        """
        for position, node in enumerate(self.nodes):
            if isinstance(node.module, torch.jit.ScriptModule) and node.calls:
                yield from (
                    (position, kind) for kind in _kinds(getattr(node.module, "inlined_graph", None)) if _is_unseen(kind)
                )

    def has_scripted_modules(self) -> bool:
        """Return whether TorchScript runs a part of the model, where Python sees no module calls."""
        return any(issubclass(kind, torch.jit.ScriptModule) for kind in self.classes)


def _contents(tables: list[dict[str, Any]]) -> tuple[list[int], list[Any]]:
    """Return how much each table holds, and what."""
    return [*map(len, tables)], [*chain.from_iterable(map(_values, filter(None, tables)))]


def _kinds(graph: Any) -> Iterator[str]:
    """Yield the kinds of the nodes in a graph of TorchScript and in the blocks below them."""
    for node in graph.nodes() if graph is not None else ():
        yield node.kind()
        for block in node.blocks():
            yield from _kinds(block)


def _is_unseen(kind: str) -> bool:
    known = kind.lower().startswith(("prim::mkldnn", "mkldnn::", "tensorrt::"))
    return known or kind == "prim::fork" or kind.endswith("Group")  # another thread, kernels fused to one


def _uninitialized_twin(tensor: Any) -> Any:
    options = {"device": tensor.device, "dtype": tensor.dtype}
    if isinstance(tensor, UninitializedParameter):
        return UninitializedParameter(requires_grad=tensor.requires_grad, **options)
    return type(tensor)(tensor.requires_grad, **options)
