"""The modules of a model: their qualified names, and the parameters and buffers that each of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import attrgetter, methodcaller
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from pytest_modelbudget.counting.torch_private import (
    coo_values,
    mkldnn_layout,
    own_buffers,
    own_parameters,
    submodules,
)

_values = methodcaller("values")
_requires_grad, _dtype = attrgetter("requires_grad"), attrgetter("dtype")
_DEEPEST_OUTPUT = 8  # levels: an output may hold itself
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
        self.aliases: list[str] = []
        self.children: list[int] = []
        self.calls = 0
        self.outputs: tuple[tuple[int, ...], ...] | None = None
        self.params = self.trainable_params = self.weight_bytes = 0

    def note_output(self, output: Any) -> None:
        """Keep the shapes of what the first call returned."""
        if self.outputs is None:
            if isinstance(output, torch.Tensor) and not output.is_nested:
                sizes = (*output.shape,)
                if type(sum(sizes)) is int:  # one tensor, no symbolic size: by far the most common
                    self.outputs = (sizes,)
                    return
            self.outputs = tuple(_shapes(output))

    def add_tensor(self, tensor: torch.Tensor, is_parameter: bool) -> None:
        """Add the size of a tensor that this module holds."""
        numel = tensor.numel()
        if tensor.layout is torch.strided:
            self.weight_bytes += numel * tensor.element_size()
        else:
            stored = _stored_elements(tensor)
            self.weight_bytes += stored.numel() * stored.element_size()
        if is_parameter:
            self.params += numel
            if tensor.requires_grad:
                self.trainable_params += numel


def _stored_elements(tensor: torch.Tensor) -> torch.Tensor:
    """Return the stored elements of a sparse tensor; an MKL-DNN tensor stores all of its elements."""
    if tensor.layout is torch.sparse_coo:
        return coo_values(tensor)
    return tensor if tensor.layout is mkldnn_layout else tensor.values()


class ModuleIndex:
    """All modules of a model in the order of definition; the model itself is the first.

    ``positions`` finds them by identity. ``parameters`` and ``buffers`` are the distinct tensors; each belongs to the
    first module that holds it. ``has_lazy_tensors``: some had no shape yet when they were counted.
    """

    def __init__(self, model: nn.Module) -> None:
        self.nodes: list[ModuleNode] = []
        self.positions: dict[int, int] = {}
        self._edges = 0
        self._add(model, "")
        self._escape_names()
        self.count_tensors()

    def _add(self, module: nn.Module, name: str) -> None:
        self.positions[id(module)] = len(self.nodes)
        node = ModuleNode(module, name)
        self.nodes.append(node)
        prefix = f"{name}." if name else ""
        for key, child in submodules(module).items():
            if child is None:
                continue
            self._edges += 1
            known = self.positions.get(id(child))
            if known is None:
                node.children.append(len(self.nodes))
                self._add(child, prefix + key)
            else:
                self.nodes[known].aliases.append(escaped(prefix + key))

    def _escape_names(self) -> None:
        if not "".join([node.name for node in self.nodes]).isprintable():
            for node in self.nodes:
                node.name = escaped(node.name)

    def count_tensors(self) -> None:
        """Count params, trainable params and bytes as they are now."""
        self.has_lazy_tensors = False
        self.parameters: list[torch.Tensor] = []
        self.buffers: list[torch.Tensor] = []
        seen: set[int] = set()
        for node in self.nodes:
            node.params = node.trainable_params = node.weight_bytes = 0
            held = ((own_parameters(node.module), self.parameters), (own_buffers(node.module), self.buffers))
            for by_name, distinct in held:
                for tensor in by_name.values() if by_name else ():
                    if tensor is not None and id(tensor) not in seen:
                        seen.add(id(tensor))
                        distinct.append(tensor)
                        if type(tensor) in _LAZY_TYPES:
                            self.has_lazy_tensors = True
                        else:
                            node.add_tensor(tensor, distinct is self.parameters)
        self._tensors = seen
        self._kinds = self._kinds_of_tensors()

    def _kinds_of_tensors(self) -> list[Any]:
        return [*map(_requires_grad, self.parameters), *map(_dtype, self.parameters), *map(_dtype, self.buffers)]

    def size(self) -> tuple[int, ...]:
        """Return the params, bytes and trainable params of all modules."""
        sizes = [(node.params, node.weight_bytes, node.trainable_params) for node in self.nodes]
        return tuple(map(sum, zip(*sizes, strict=True)))

    def has_changed(self) -> bool:
        """Return whether the model has other modules or tensors by now, or other dtypes or weights to train."""
        modules = [node.module for node in self.nodes]
        children = _ids_of(map(submodules, modules))
        tensors = {*_ids_of(map(own_parameters, modules)), *_ids_of(map(own_buffers, modules))}
        if len(children) != self._edges or not self.positions.keys() >= set(children) or tensors != self._tensors:
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
        return any(issubclass(kind, torch.jit.ScriptModule) for kind in {type(node.module) for node in self.nodes})


def _ids_of(held: Iterable[Any]) -> list[int]:
    """Return the identities of what some dicts hold."""
    return [id(item) for item in chain.from_iterable(map(_values, filter(None, held))) if item is not None]


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


def _shapes(output: Any, level: int = 0) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the tensors in what a module returned; symbolic sizes are -1, nested tensors have none."""
    if isinstance(output, torch.Tensor):
        if not output.is_nested:
            yield tuple([size if type(size) is int else -1 for size in output.shape])
    elif isinstance(output, (tuple, list, dict)) and level < _DEEPEST_OUTPUT:
        for part in dict.values(output) if isinstance(output, dict) else output:
            yield from _shapes(part, level + 1)
