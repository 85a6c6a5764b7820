"""What containers and objects of others hold, read by the methods of the built-in classes: their own may raise."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

_KINDS: tuple[Any, ...] = (OrderedDict, dict, list, tuple, set, frozenset, deque)


def builtin_kind(kind: type) -> Any:
    """Return the built-in container that a class is, or derives from, or None."""
    return next((container for container in _KINDS if issubclass(kind, container)), None)


def items_in(value: Any) -> list[Any] | None:
    """Return what a container holds, of a mapping its values; None for what derives from no built-in container."""
    kind = builtin_kind(type(value))
    if kind is None:
        return None
    return [*kind.values(value)] if issubclass(kind, dict) else [*kind.__iter__(value)]


def attributes_in(value: Any) -> dict[str, Any] | None:
    """Return the attributes of an object, past the methods of its class; None where it has none, or hides them."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except Exception:
        return None
    return attributes if type(attributes) is dict else None
