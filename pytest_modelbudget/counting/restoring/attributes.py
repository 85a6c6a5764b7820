"""Leave no footprint: remember what a forward pass can change, and put it back."""

from __future__ import annotations

import gc
import random
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.shape_run.tensors import PLAIN

_ATOMS = frozenset(
    (
        bool,
        bytes,
        complex,
        float,
        int,
        str,
        type,
        type(None),
        types.BuiltinFunctionType,
        types.FunctionType,
        types.MethodType,
        types.ModuleType,
        nn.Parameter,
        torch.device,
        torch.dtype,
        torch.Size,
    )
)
_CONTAINERS = frozenset((dict, OrderedDict, list, set, deque))


class Objects:
    """The attributes and containers reachable from some objects, as they were when this was made.

    Modules, plain objects, dicts, lists, sets and deques are followed, tensors are not: a write into a tensor's data is
    undone by :class:`Storages`. ``tensors`` are the plain tensors found, such as buffers.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._empty: list[Any] = []
        self._mappings: list[tuple[Any, Any]] = []
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._classes: list[tuple[Any, type]] = []
        self.tensors: list[torch.Tensor] = []
        seen: set[int] = set()
        pending = [root for root in roots if type(root) not in _ATOMS]
        while pending:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            for item in self._remember(value):
                kind = type(item)
                if kind in _ATOMS:
                    continue
                if kind in _CONTAINERS and not item:
                    self._empty.append(item)
                elif kind is torch.Tensor:
                    self.tensors.append(item)
                elif kind is not tuple or not _ATOMS.issuperset(map(type, item)):
                    pending.append(item)

    def _remember(self, value: Any) -> Iterable[Any]:
        """Note what ``value`` holds, and return it."""
        if isinstance(value, nn.Module):
            return self._remember_object(value, value.__dict__)
        if isinstance(value, dict):
            self._mappings.append((value, dict(value)))
            return value.values()
        if isinstance(value, (list, set, deque)):
            items = list(value)
            self._sequences.append((value, items))
            return items
        if isinstance(value, tuple):
            return value
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is not dict or isinstance(value, (torch.Tensor, type)):
            return ()
        return self._remember_object(value, attributes)

    def _remember_object(self, value: Any, attributes: dict[str, Any]) -> Iterable[Any]:
        self._classes.append((value, type(value)))
        self._mappings.append((attributes, dict(attributes)))
        return attributes.values()

    def restore(self) -> None:
        """Put back every attribute, item and class that has changed."""
        for value, kind in self._classes:
            if type(value) is not kind:
                value.__class__ = kind
        for container in self._empty:
            if container:
                container.clear()
        for mapping, before in self._mappings:
            if list(mapping) != list(before) or not all(map(is_, mapping.values(), before.values())):
                mapping.clear()
                mapping.update(before)
        for sequence, items in self._sequences:
            if len(sequence) != len(items) or not all(map(is_, sequence, items)):
                sequence.clear()
                (sequence.update if isinstance(sequence, set) else sequence.extend)(items)


class Storages:
    """The data of tensors that existed before the run, copied just before the run first writes into them."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.Tensor, torch.Tensor, tuple[Any, ...]]] = {}
        self._born: set[int] = set()

    def born(self, tensor: torch.Tensor) -> None:
        """Note a tensor that the run itself made: it needs no copy."""
        self._born.add(tensor.untyped_storage()._cdata)

    def keep(self, tensor: torch.Tensor) -> None:
        """Copy what ``tensor`` holds, unless the run made it or it was copied before."""
        if tensor.layout is not torch.strided or type(tensor) not in PLAIN:
            self._keep_whole(tensor)
            return
        storage = tensor.untyped_storage()
        if storage._cdata in self._born or storage._cdata in self._saved:
            return
        whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
        geometry = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        self._saved[storage._cdata] = (tensor.detach(), whole.clone(), geometry)

    def _keep_whole(self, tensor: torch.Tensor) -> None:
        if id(tensor) not in self._saved and tensor.layout is not torch.strided:
            self._saved[id(tensor)] = (tensor, tensor.detach().clone(), ())

    def restore(self) -> None:
        """Write the copies back."""
        with torch.no_grad():
            for tensor, copy, geometry in self._saved.values():
                if not geometry:
                    tensor.copy_(copy)
                    continue
                storage = tensor.untyped_storage()
                if storage.nbytes() != copy.numel():
                    storage.resize_(copy.numel())
                torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage).copy_(copy)
        self._saved.clear()


@contextmanager
def process_state() -> Iterator[None]:
    """Restore random numbers, grad mode, default dtype and the autocast cache; collect no garbage meanwhile.

    Without garbage collection the cycles that a run leaves behind are still young when it ends, and quick to find.
    """
    python, numpy = random.getstate(), sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    dtype, collecting = torch.get_default_dtype(), gc.isenabled()
    gc.disable()
    torch.clear_autocast_cache()
    try:
        with torch.random.fork_rng(devices), torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        torch.clear_autocast_cache()
        random.setstate(python)
        if numpy and numpy_state is not None:
            numpy.random.set_state(numpy_state)
        if torch.get_default_dtype() is not dtype:
            torch.set_default_dtype(dtype)
        if collecting:
            gc.enable()


@contextmanager
def gradients_kept(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Run with empty gradients, and put back gradients, ``requires_grad`` and the independence of leaves."""
    before = [(tensor, tensor.grad, tensor.requires_grad) for tensor in tensors if tensor.is_leaf]
    for tensor, gradient, _ in before:
        if gradient is not None:
            tensor.grad = None
    try:
        yield
    finally:
        for tensor, gradient, requires_grad in before:
            if not tensor.is_leaf:
                tensor.detach_()  # it was written into while gradients were recorded
            if tensor.grad is not gradient:
                tensor.grad = gradient
            if tensor.requires_grad is not requires_grad:
                tensor.requires_grad_(requires_grad)


@contextmanager
def plain_kernels(backward: bool) -> Iterator[None]:
    """Switch off what hides operators: fused fast paths, compilation, and in training fused attention and recurrence.

    The fused backward kernels compute gradients that nobody asked for; decomposed, autograd asks for each.
    """
    undo: list[Callable[[], Any]] = []
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    undo.append(partial(torch.backends.mha.set_fastpath_enabled, fastpath))
    if backward:
        for get, put in _fused_training_flags():
            undo.append(partial(put, get()))
            put(False)
    cond = torch.cond
    torch.cond = _eager_cond
    undo.append(partial(setattr, torch, "cond", cond))
    try:
        with _eager_stance():
            yield
    finally:
        for step in reversed(undo):
            step()


def _eager_cond(pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
    """Call the branch itself: torch's own would compile it, and uncompiled it loses the gradients of closures."""
    return (true_fn if bool(pred) else false_fn)(*operands)


def _fused_training_flags() -> list[tuple[Callable[[], bool], Callable[[bool], Any]]]:
    cuda = torch.backends.cuda
    flags: list[tuple[Callable[[], bool], Callable[[bool], Any]]] = [
        (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
        (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
        (cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
        (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
        (torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled),
    ]
    return flags


@contextmanager
def _eager_stance() -> Iterator[None]:
    """Run compiled modules eagerly; torch.compile was never used in this process unless its machinery is loaded."""
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
