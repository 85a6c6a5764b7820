"""What functions refer to, found without running them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from typing import Any

from pytest_modelbudget.counting.containers import attributes_in, items_in

_MOST_ITEMS = 200  # of a table
_CACHED = type(lru_cache(int))


def functions_in(value: Any) -> Iterator[types.FunctionType]:
    """Yield the Python functions behind a function, method, property, partial or decorated function."""
    for _ in range(8):
        if isinstance(value, types.FunctionType):
            yield value
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
