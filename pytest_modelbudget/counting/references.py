"""What functions refer to, found without running them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from typing import Any

from torch import nn

from pytest_modelbudget.counting.containers import attributes_in, items_in
from pytest_modelbudget.counting.origins import is_user_code

_MOST_ITEMS = 200  # of a table
_MOST_FUNCTIONS = 50  # of a factory
_CACHED = type(lru_cache(int))


def functions_in(value: Any) -> Iterator[types.FunctionType]:
    """Yield the Python functions behind a function, method, property, partial or decorated function."""
    return (layer for layer in layers_of(value) if isinstance(layer, types.FunctionType))


def layers_of(value: Any) -> Iterator[Any]:
    """Yield a function, method, property, partial or decorated function, and what is behind it."""
    for _ in range(8):
        yield value
        if isinstance(value, types.FunctionType):
            value = getattr(value, "__wrapped__", None)
        elif isinstance(value, (types.MethodType, staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, (partial, cached_property)):
            value = value.func
        elif isinstance(value, _CACHED):
            value = value.__wrapped__
        else:
            return


def items_of(value: Any, depth: int = 3) -> Iterator[Any]:
    """Yield what a table holds, and the tables in it; of anything else, itself."""
    items = items_in(vars(value) if type(value) is types.SimpleNamespace else value)
    if items is None:
        yield value
    elif depth:
        for item in items[:_MOST_ITEMS]:
            yield from items_of(item, depth - 1)


def attributes_of(value: Any) -> list[Any]:
    """Return what an object or a class has as attributes, without running code of its class."""
    attributes = vars(value) if issubclass(type(value), type) else attributes_in(value)
    return [*attributes.values()] if attributes else []


def names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in code, and in the functions that it makes."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def values_of(function: types.FunctionType, names: set[str]) -> Iterator[Any]:
    """Yield what the names in a function refer to: globals, and the variables that it closes over."""
    known = function.__globals__
    for name in names & known.keys():
        yield known[name]
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # not assigned yet


def refers_to_a_module(factory: Any) -> bool:
    """Return whether a factory, or a function that it names, refers to a module that exists, or to what holds one."""
    pending, seen = [factory], set[int]()
    while pending and len(seen) < _MOST_FUNCTIONS:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for known in _known_to(value):
            if any(issubclass(type(item), nn.Module) for item in _held_by(known)):
                return True
            pending += functions_in(known)
    return False


def _known_to(value: Any) -> Iterator[Any]:
    """Yield what a function refers to, and what it is bound to or given."""
    for layer in layers_of(value):
        if isinstance(layer, types.FunctionType) and is_user_code(layer.__code__):
            names = set(names_in(layer.__code__))
            for known in values_of(layer, names):
                if isinstance(known, types.ModuleType):
                    yield from (vars(known)[name] for name in names & vars(known).keys())
                else:
                    yield known
        elif isinstance(layer, types.MethodType):
            yield layer.__self__
        elif isinstance(layer, partial):
            yield from (*layer.args, *layer.keywords.values())


def _held_by(value: Any) -> Iterator[Any]:
    """Yield a value, the items of a table, and the attributes of an object or class."""
    yield from items_of(value)
    if type(value) not in (types.ModuleType, types.FunctionType):
        for attribute in attributes_of(value):
            yield from items_of(attribute)
