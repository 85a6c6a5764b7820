"""The modules of a model: their qualified names, and the parameters and buffers that each of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter, is_, methodcaller
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from pytest_modelbudget.counting.modules.graphs import exported_classes, unseen_operators
from pytest_modelbudget.counting.modules.outputs import Shapes, shapes_of_output
from pytest_modelbudget.counting.modules.weights import (
    is_plain,
    logical_size,
    new_bytes,
    new_bytes_of_any,
    packed_weights,
)
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import held_by, own_buffers, own_parameters, submodules

_values = methodcaller("values")
_requires_grad, _dtype = attrgetter("requires_grad"), attrgetter("dtype")
_GUARDS = "_guards_fn"
"""Beside its parts, torch gives an exported program a module that checks its inputs."""
_LAZY_TYPES = frozenset((UninitializedParameter, UninitializedBuffer))


def class_name(module: nn.Module) -> str:
    """Return the name of a module's class; that of a scripted or exported one is the name it had before."""
    if isinstance(module, torch.jit.ScriptModule):
        return escaped(str(module.original_name))
    return escaped(exported_classes(module).get("") or type(module).__name__)


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

    def note_output(self, output: Any) -> None:
        """Keep the shapes of what the first call returned."""
        if self.outputs is None:
            self.outputs = shapes_of_output(output)


class ModuleIndex:
    """All modules of a model in the order of definition; the model itself is the first.

    ``positions`` finds them by identity. ``parameters`` and ``buffers`` are the distinct tensors; each belongs to the
    first module that holds it, and what is both is a parameter. ``classes`` are those of the modules.
    ``has_lazy_tensors``: some had no shape yet when they were counted. ``unopened`` names packed weights that do not
    open, each with the position of its module.
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
            if child is None or key == _GUARDS:
                continue
            # A module that is held twice is counted where it is found first.
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
        self._storages: set[int] = set()
        self.parameters = self._count_distinct(tables[1::3], (), are_parameters=True)
        self.buffers = self._count_distinct(tables[2::3], self.parameters, are_parameters=False)
        self.unopened = [*self._count_packed()]

    def _tables(self) -> list[dict[str, Any]]:
        """Return the modules, the parameters and the buffers that a module holds, of one module after the other."""
        return [*chain.from_iterable([held_by(node.module) for node in self.nodes])]

    def _count_distinct(
        self, tables: list[dict[str, Any]], known: Iterable[torch.Tensor], *, are_parameters: bool
    ) -> list[torch.Tensor]:
        """Count the tensors of a kind, but for those already known, each for the first module that holds it."""
        found: list[torch.Tensor] = []
        seen = set(map(id, known))
        trainable, dtypes = self._kinds
        plain: list[torch.Tensor] = []
        holders: list[ModuleNode] = []
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
                if is_plain(tensor):
                    plain.append(tensor)
                    holders.append(node)
                else:
                    # A wrapper such as a quantized tensor is opened: its bytes are those of the tensors inside.
                    node.weight_bytes += new_bytes_of_any(tensor, self._storages)
                if are_parameters:
                    numel = tensor.numel() if type(tensor) in PLAIN_TYPES else logical_size(tensor)
                    node.params += numel
                    node.trainable_params += numel if trains else 0
        for node, size in zip(holders, new_bytes(plain, self._storages), strict=True):
            node.weight_bytes += size
        return found

    def _count_packed(self) -> Iterator[tuple[int, str]]:
        """Count the weights that modules hold in no parameter, and yield those that do not open."""
        may_hold_any = {kind for kind in self.classes if not kind.__module__.startswith("torch.nn.modules.")}
        inner: set[int] = set()  # parts of scripted modules: the graph of the outermost has what they use
        opened: list[torch.Tensor] = []
        for position, node in enumerate(self.nodes) if may_hold_any else ():
            if type(node.module) not in may_hold_any:
                continue
            if isinstance(node.module, torch.jit.ScriptModule):
                inner.update(node.children)
                if position in inner:
                    continue
            for path, name, tensors in packed_weights(node.module):
                if tensors is None:
                    yield position, name
                    continue
                opened += tensors
                holder = self.nodes[self.position_below(position, path)]
                for tensor in tensors:
                    size = new_bytes_of_any(tensor, self._storages)
                    holder.weight_bytes += size
                    holder.params += tensor.numel() if size else 0

    def position_below(self, position: int, path: str) -> int:
        """Return the position of the module at a path below another, or of the closest one above it."""
        for name in path.split(".") if path else ():
            held = submodules(self.nodes[position].module).items()
            found = [self.positions.get(id(child)) for key, child in held if key == name]
            if not found or found[0] is None:
                break
            position = found[0]
        return position

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
        """Yield the operators of TorchScript's own that no mode sees, each with the position of its module."""
        for position, node in enumerate(self.nodes):
            if isinstance(node.module, torch.jit.ScriptModule) and node.calls:
                yield from ((position, kind) for kind in unseen_operators(node.module))

    def has_scripted_modules(self) -> bool:
        """Return whether TorchScript runs a part of the model, where Python sees no module calls."""
        return any(issubclass(kind, torch.jit.ScriptModule) for kind in self.classes)


def _contents(tables: list[dict[str, Any]]) -> tuple[list[int], list[Any]]:
    """Return how much each table holds, and what."""
    return [*map(len, tables)], [*chain.from_iterable(map(_values, filter(None, tables)))]


def _uninitialized_twin(tensor: Any) -> Any:
    options = {"device": tensor.device, "dtype": tensor.dtype}
    if isinstance(tensor, UninitializedParameter):
        return UninitializedParameter(requires_grad=tensor.requires_grad, **options)
    return type(tensor)(tensor.requires_grad, **options)
