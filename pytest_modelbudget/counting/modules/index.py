"""The modules of a model: their names, their parameters, and which of them is running."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

_LAZY = frozenset((UninitializedParameter, UninitializedBuffer))


def class_name(module: nn.Module) -> str:
    """Return the name of a module's class; that of a scripted module is the name it had before."""
    scripted = getattr(type(module), "original_name", None) is not None
    return str(module.original_name) if scripted else type(module).__name__


class Node:
    """One module of a model, under the first qualified name that holds it."""

    __slots__ = ("aliases", "calls", "children", "module", "name", "params", "trainable_params", "weight_bytes")

    def __init__(self, module: nn.Module, name: str) -> None:
        self.module = module
        self.name = name
        self.aliases: list[str] = []
        self.children: list[int] = []
        self.calls = 0
        self.params = self.trainable_params = self.weight_bytes = 0

    def weigh(self, tensor: torch.Tensor, is_parameter: bool) -> None:
        """Add a tensor of this module."""
        numel = tensor.numel()
        if tensor.layout is torch.strided:
            self.weight_bytes += numel * tensor.element_size()
        else:
            stored = _stored(tensor)
            self.weight_bytes += stored.numel() * stored.element_size()
        if is_parameter:
            self.params += numel
            if tensor.requires_grad:
                self.trainable_params += numel


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """Return the stored elements of a sparse tensor; a tensor of another layout is stored whole."""
    if tensor.layout is torch.sparse_coo:
        return tensor._values()
    return tensor if tensor.layout is torch._mkldnn else tensor.values()  # type: ignore[attr-defined]


class ModuleIndex:
    """All modules of a model in the order of definition; the model itself is the first.

    ``parameters`` and ``buffers`` are the distinct tensors; each is weighed at the first module that holds it.
    ``lazy`` tells that some had no shape yet when they were weighed.
    """

    def __init__(self, model: nn.Module) -> None:
        self.nodes: list[Node] = []
        self.positions: dict[int, int] = {}
        self._add(model, "")
        self.weigh()

    def _add(self, module: nn.Module, name: str) -> None:
        self.positions[id(module)] = len(self.nodes)
        node = Node(module, name)
        self.nodes.append(node)
        prefix = f"{name}." if name else ""
        for key, child in module._modules.items():
            if child is None:
                continue
            known = self.positions.get(id(child))
            if known is None:
                node.children.append(len(self.nodes))
                self._add(child, prefix + key)
            else:
                self.nodes[known].aliases.append(prefix + key)

    def weigh(self) -> None:
        """Count params, trainable params and bytes as they are now."""
        self.lazy = False
        self.parameters: list[torch.Tensor] = []
        self.buffers: list[torch.Tensor] = []
        seen: set[int] = set()
        for node in self.nodes:
            node.params = node.trainable_params = node.weight_bytes = 0
            for held, kept in ((node.module._parameters, self.parameters), (node.module._buffers, self.buffers)):
                for tensor in held.values() if held else ():
                    if tensor is not None and id(tensor) not in seen:
                        seen.add(id(tensor))
                        kept.append(tensor)
                        if type(tensor) in _LAZY:
                            self.lazy = True
                        else:
                            node.weigh(tensor, kept is self.parameters)

    def refresh_lazy(self) -> None:
        """Put an equal, uninitialized tensor in the place of every lazy one, for a run whose traces will be removed."""
        for node in self.nodes:
            for held in (node.module._parameters, node.module._buffers):
                for name, tensor in list(held.items()):
                    if tensor is not None and is_lazy(tensor):
                        held[name] = _uninitialized_twin(tensor)

    def scripted(self) -> bool:
        """Return whether TorchScript runs a part of the model, out of Python's sight."""
        return any(issubclass(kind, torch.jit.ScriptModule) for kind in {type(node.module) for node in self.nodes})


def _uninitialized_twin(tensor: Any) -> Any:
    options = {"device": tensor.device, "dtype": tensor.dtype}
    if isinstance(tensor, UninitializedParameter):
        return UninitializedParameter(requires_grad=tensor.requires_grad, **options)
    return type(tensor)(tensor.requires_grad, **options)
