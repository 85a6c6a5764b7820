"""Restore the attributes and containers of objects."""

from __future__ import annotations

import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from operator import is_
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.containers import attributes_in, builtin_kind, items_in
from pytest_modelbudget.counting.restoring.contents import HeldIterator, Undo, has_slots, saved_content, saved_slots

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
        types.ModuleType,
        nn.Parameter,
        torch.device,
        torch.dtype,
        torch.Size,
    )
)
_OTHERS = frozenset(
    (
        "_pytest",
        "asyncio",
        "concurrent",
        "contextvars",
        "importlib",
        "logging",
        "multiprocessing",
        "pluggy",
        "pytest",
        "subprocess",
        "threading",
        "weakref",
    )
)
"""The packages whose objects belong to the process: they may be reached through a model, and are not rolled back."""
_NOT_OWN = ("torch.", "builtins", "abc", "typing")
_FUNCTIONS = frozenset(
    (types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.MethodDescriptorType, partial)
)
_NEVER_FOLLOWED_IN_CLASSES = _NEVER_FOLLOWED | {types.FunctionType, classmethod, property, staticmethod}
_CONTAINERS = frozenset((dict, OrderedDict, list, set, deque))


class AttributeSnapshot:
    """The attributes and containers reachable from some objects, as they were when this was made.

    Modules, plain objects, dicts, lists, sets and deques are followed, and what hooks close over and are bound to.
    Tensors are not: a ``StorageSnapshot`` puts their data back. Nor is what belongs to others: Python modules, loggers,
    threads. The attributes of ``classes``, and of the classes of plain objects, are saved too. ``tensors`` and
    ``functions`` are the plain tensors and the functions found.
    """

    def __init__(self, roots: Iterable[Any], classes: Iterable[type] = ()) -> None:
        self._empty_containers: list[Any] = []
        self._mappings: list[tuple[Any, Any]] = []
        self._changed_mappings: list[tuple[Any, Any]] | None = None
        self._sequences: list[tuple[Any, list[Any]]] = []
        self._objects: list[Any] = []
        self._kinds: list[type] = []  # of those objects
        self._class_attributes: list[tuple[type, dict[str, Any]]] = []
        self._undo: list[Undo] = []
        self._followed: set[int] = set()
        self._slotted: set[type] = set()
        self.tensors: list[torch.Tensor] = []
        self.functions: list[Any] = []
        self._seen: set[int] = set()
        saved = set(classes)
        self._save([*(root for root in roots if type(root) not in _NEVER_FOLLOWED), *self._save_classes(saved)])
        # Saving classes finds more objects, whose classes have to be saved as well.
        while new := own_classes(self.helpers()) - saved:
            saved |= new
            self._save(self._save_classes(new))

    def _save(self, pending: list[Any]) -> None:
        """Save objects, and all that is reached from them."""
        seen, empty, tensors = self._seen, self._empty_containers, self.tensors
        never_followed, containers, plain_tensor = _NEVER_FOLLOWED, _CONTAINERS, torch.Tensor  # quicker to find here
        while pending:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            for item in self._save_items(value):
                kind = type(item)
                if kind in never_followed:
                    continue
                if kind in containers and not item:
                    empty.append(item)
                elif kind is plain_tensor:
                    tensors.append(item)
                elif kind is not tuple or not never_followed.issuperset(map(type, item)):
                    pending.append(item)

    def helpers(self) -> set[type]:
        """Return the classes of the plain objects found."""
        return {kind for kind in set(self._kinds) if not issubclass(kind, nn.Module)}

    def held_iterators(self) -> list[Any]:
        """Return the iterators found, which can be read only once."""
        return [undo.iterator for undo in self._undo if isinstance(undo, HeldIterator)]

    def _save_items(self, value: Any) -> Iterable[Any]:
        """Save what ``value`` holds, and return it."""
        kind = type(value)
        if kind is dict:
            items: Iterable[Any] = value.values()
            self._mappings.append((value, value.copy()))
            return items
        if issubclass(kind, nn.Module):
            items = self._save_object(value, value.__dict__)
            return [*items, *self._save_slots(value)] if kind in self._slotted else items
        if builtin_kind(kind) is not None:
            items = self._save_container(value)
            if kind in _CONTAINERS or kind in (tuple, frozenset):
                return items
            return [*items, *self._save_attributes(value)]
        if kind in _FUNCTIONS:
            self.functions.append(value)
            return self._save_function(value) if id(value) in self._followed else ()
        if kind is types.MappingProxyType:
            return list(value.values())
        if issubclass(kind, (torch.Tensor, type)) or _package_of(kind) in _OTHERS:
            return ()
        return self._save_other(value)

    def _save_container(self, value: Any) -> Iterable[Any]:
        """Save the items of a container of Python's own kinds, and return them."""
        kind, items = type(value), items_in(value) or []
        if isinstance(value, dict):
            before = dict(builtin_kind(kind).items(value))
            if kind in (OrderedDict, defaultdict):
                self._mappings.append((value, before))
            else:
                self._undo.append(partial(_refill_mapping, value, before))
            if kind is OrderedDict:
                self._follow_functions(items)
        elif not isinstance(value, (tuple, frozenset)):
            self._sequences.append((value, items))
        return items

    def _save_other(self, value: Any) -> Iterable[Any]:
        """Save a plain object, or what has a state of its own."""
        undo = saved_content(value)
        if undo is not None:
            self._undo.append(undo)
            return ()
        return self._save_attributes(value)

    def _save_attributes(self, value: Any) -> list[Any]:
        """Save the attributes of an object, also those in slots, and return them."""
        attributes = attributes_in(value)
        items = [] if attributes is None else list(self._save_object(value, attributes))
        return items + self._save_slots(value)

    def _save_slots(self, value: Any) -> list[Any]:
        items, undo = saved_slots(value)
        if undo is not None:
            self._undo.append(undo)
        return items

    def _save_object(self, value: Any, attributes: dict[str, Any]) -> Iterable[Any]:
        self._objects.append(value)
        self._kinds.append(type(value))
        self._mappings.append((attributes, attributes.copy()))
        return attributes.values()

    def _follow_functions(self, items: Iterable[Any]) -> None:
        """Let what functions close over be saved: those that are hooks, and those that hooks call."""
        self._followed.update([id(item) for item in items if type(item) in _FUNCTIONS])

    def _save_function(self, function: Any) -> list[Any]:
        """Save what a function closes over, and return that and what it is bound to."""
        items = self._parts_of_function(function)
        self._follow_functions(items)
        return items

    def _parts_of_function(self, function: Any) -> list[Any]:
        if isinstance(function, partial):
            return [function.func, *function.args, *function.keywords.values()]
        if not isinstance(function, types.FunctionType):
            bound = getattr(function, "__self__", None)
            inner = getattr(function, "__func__", None)
            return [item for item in (bound, inner) if item is not None]
        items: list[Any] = [
            function.__dict__,
            *(function.__defaults__ or ()),
            *(function.__kwdefaults__ or {}).values(),
        ]
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
            items.append(content)
            self._undo.append(partial(setattr, cell, "cell_contents", content))
        return items

    def _save_classes(self, classes: Iterable[type]) -> list[Any]:
        """Save the attributes of classes, and return the containers among them, and the objects of the same package."""
        found: list[Any] = []
        for kind in classes:
            before = vars(kind).copy()
            self._class_attributes.append((kind, before))
            if has_slots(kind):
                self._slotted.add(kind)
            package = _package_of(kind)
            for name, value in [item for item in before.items() if type(item[1]) not in _NEVER_FOLLOWED_IN_CLASSES]:
                if name.startswith("__"):
                    continue  # these are of Python's machinery: annotations, the fields of dataclasses
                of_value = type(value)
                if _package_of(of_value) == package or of_value is tuple or of_value in _CONTAINERS:
                    found.append(value)
        return found

    def have_changed(self) -> bool:
        """Return whether any object has other attributes by now, or a mapping other items; :meth:`restore` follows."""
        self._empty_containers = [*filter(None, self._empty_containers)]  # which were empty before
        self._changed_mappings = [
            (mapping, before)
            for mapping, before in self._mappings
            if [*mapping] != [*before] or not all(map(is_, mapping.values(), before.values()))
        ]
        return bool(self._changed_mappings or self._empty_containers)

    def restore(self) -> None:
        """Put back every attribute, item and class that has changed."""
        self._restore_kinds()
        if self._changed_mappings is None:
            self.have_changed()
        for container in self._empty_containers:
            container.clear()
        for mapping, before in self._changed_mappings or ():
            _refill_mapping(mapping, before)
        for sequence, items in self._sequences:
            _refill_sequence(sequence, items)
        self._restore_classes()
        with ExitStack() as all_of_them:  # also where one raises
            for undo in self._undo:
                all_of_them.callback(undo)

    def _restore_kinds(self) -> None:
        if not all(map(is_, map(type, self._objects), self._kinds)):
            for value, kind in zip(self._objects, self._kinds, strict=True):
                if type(value) is not kind:
                    value.__class__ = kind

    def _restore_classes(self) -> None:
        for kind, attributes in self._class_attributes:
            if [*vars(kind)] != [*attributes] or not all(map(is_, vars(kind).values(), attributes.values())):
                # Through `type`, for a metaclass may refuse or notice an assignment.
                for name in [name for name in vars(kind) if name not in attributes]:
                    type.__delattr__(kind, name)
                for name, value in attributes.items():
                    if vars(kind).get(name) is not value:
                        type.__setattr__(kind, name, value)


def own_classes(kinds: Iterable[type]) -> set[type]:
    """Return the classes that the user's project defines, with those from which they derive."""
    bases: set[type] = set()
    for kind in kinds:
        if not kind.__module__.startswith("torch."):
            bases.update(kind.__mro__)
    return {base for base in bases if not base.__module__.startswith(_NOT_OWN)}


def _package_of(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def _refill_mapping(mapping: Any, items: dict[Any, Any]) -> None:
    """Put the items back, past the methods of a subclass, unless they are as before."""
    kind = builtin_kind(type(mapping))
    if [*kind.__iter__(mapping)] == [*items] and all(map(is_, kind.values(mapping), items.values())):
        return
    kind.clear(mapping)
    for key, value in items.items():
        kind.__setitem__(mapping, key, value)


def _refill_sequence(sequence: Any, items: list[Any]) -> None:
    kind, now = builtin_kind(type(sequence)), items_in(sequence) or []
    if len(now) != len(items) or not all(map(is_, now, items)):
        kind.clear(sequence)
        (kind.update if kind is set else kind.extend)(sequence, items)
