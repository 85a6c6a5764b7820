"""The modules of a model: their names, their parameters, and which of them is running."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

ROOT = 0
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


class Ledger:
    """Where MACs are written down: per innermost running module and operator, forward and backward apart."""

    __slots__ = ("_backward", "_marks", "_owners", "forward", "index", "stack", "training", "unknown")

    def __init__(self, index: ModuleIndex) -> None:
        self.index = index
        self.stack = [ROOT]
        self.forward: dict[tuple[int, str], list[int]] = {}
        self.training: dict[tuple[int, str], list[int]] = {}
        self.unknown: dict[tuple[int, str], list[int]] = {}
        self._backward = False
        self._marks: list[int] = []
        self._owners: list[int] = []

    def charge(self, name: str, macs: int | None) -> None:
        """Add one call of an operator to the module that runs it; without MACs, one that is unknown."""
        owner = self._origin() if self._backward else self.stack[-1]
        tally = self.unknown if macs is None else self.training if self._backward else self.forward
        entry = tally.get((owner, name))
        if entry is None:
            tally[owner, name] = [1, macs or 0]
        else:
            entry[0] += 1
            entry[1] += macs or 0

    @property
    def training_is_on(self) -> bool:
        """Return whether a backward will follow."""
        return bool(self._marks)

    def mark(self) -> None:
        """Remember that autograd nodes made from here on belong to the module that is now running."""
        self._marks.append(torch._C._autograd._get_sequence_nr())
        self._owners.append(self.stack[-1])

    @contextmanager
    def backward(self) -> Iterator[None]:
        """Charge what runs inside to the modules whose forward made the gradients."""
        self._backward = True
        try:
            yield
        finally:
            self._backward = False

    def _origin(self) -> int:
        if len(self.stack) > 1:
            return self.stack[-1]  # a forward that runs again, as under checkpoint
        node = torch._C._current_autograd_node()
        if node is None or not self._marks:
            return ROOT
        position = bisect_right(self._marks, node._sequence_nr()) - 1
        return self._owners[position] if position >= 0 else ROOT


class _Watch:
    """Stands for ``nn.Module._compiled_call_impl``, which every module call asks for and then calls if it is there.

    Unlike a replaced ``__call__`` it is never copied by what is imported meanwhile (torch.compile's machinery), and
    unlike module hooks it is seen neither by that nor by the model. A module that has a compiled call keeps it.
    """

    def __init__(self, enter: Callable[[nn.Module, Any, Any], bool], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave
        self._call = self._calling()

    def __get__(self, module: nn.Module | None, owner: type) -> Any:
        return None if module is None else MethodType(self._call, module)

    def __set__(self, module: nn.Module, value: Any) -> None:
        module.__dict__[_COMPILED] = value

    def __delete__(self, module: nn.Module) -> None:
        del module.__dict__[_COMPILED]

    def _calling(self) -> Callable[..., Any]:
        enter, leave = self._enter, self._leave

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            run = module.__dict__.get(_COMPILED) or module._call_impl
            if not enter(module, args, kwargs):
                return run(*args, **kwargs)
            try:
                return run(*args, **kwargs)
            finally:
                leave()

        return call


_COMPILED = "_compiled_call_impl"


@contextmanager
def watched(enter: Callable[[nn.Module, Any, Any], bool], leave: Callable[[], None]) -> Iterator[None]:
    """Tell ``enter`` before, and ``leave`` after, every module call; where ``enter`` declines, ``leave`` is not told.

    Of nested watches the innermost alone is told.
    """
    outer = vars(nn.Module)[_COMPILED]
    setattr(nn.Module, _COMPILED, _Watch(enter, leave))
    try:
        yield
    finally:
        setattr(nn.Module, _COMPILED, outer)


@contextmanager
def attributed(ledger: Ledger, training: bool) -> Iterator[None]:
    """Keep the ledger's stack at the innermost running module of the measured model, in this thread."""
    owner = threading.get_ident()
    positions, stack, nodes = ledger.index.positions, ledger.stack, ledger.index.nodes

    def enter(module: nn.Module, *_: Any) -> bool:
        position = positions.get(id(module))
        if position is None or threading.get_ident() != owner:
            return False
        nodes[position].calls += 1
        stack.append(position)
        if training:
            ledger.mark()
        return True

    def leave() -> None:
        stack.pop()
        if training:
            ledger.mark()

    with watched(enter, leave):
        yield
