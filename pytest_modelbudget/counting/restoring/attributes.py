"""Restore the attributes and containers of objects."""

from __future__ import annotations

import types
from collections import OrderedDict, deque
from collections.abc import Iterable
from operator import is_
from typing import Any

import torch
from torch import nn

_NEVER_FOLLOWED = frozenset(
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


class AttributeSnapshot:
    """The attributes and containers reachable from some objects, as they were when this was made.

    Modules, plain objects, dicts, lists, sets and deques are followed, tensors are not: a write into a tensor's data is
    undone by a ``StorageSnapshot``. ``tensors`` are the plain tensors found, such as buffers.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._empty_containers: list[Any] = []
        self._mappings: list[tuple[Any, Any]] = []
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._classes: list[tuple[Any, type]] = []
        self.tensors: list[torch.Tensor] = []
        seen: set[int] = set()
        pending = [root for root in roots if type(root) not in _NEVER_FOLLOWED]
        while pending:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            for item in self._save_items(value):
                kind = type(item)
                if kind in _NEVER_FOLLOWED:
                    continue
                if kind in _CONTAINERS and not item:
                    self._empty_containers.append(item)
                elif kind is torch.Tensor:
                    self.tensors.append(item)
                elif kind is not tuple or not _NEVER_FOLLOWED.issuperset(map(type, item)):
                    pending.append(item)

    def _save_items(self, value: Any) -> Iterable[Any]:
        """Save what ``value`` holds, and return it."""
        if isinstance(value, nn.Module):
            return self._save_object(value, value.__dict__)
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
        return self._save_object(value, attributes)

    def _save_object(self, value: Any, attributes: dict[str, Any]) -> Iterable[Any]:
        self._classes.append((value, type(value)))
        self._mappings.append((attributes, dict(attributes)))
        return attributes.values()

    def restore(self) -> None:
        """Put back every attribute, item and class that has changed."""
        for value, kind in self._classes:
            if type(value) is not kind:
                value.__class__ = kind
        for container in self._empty_containers:
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
