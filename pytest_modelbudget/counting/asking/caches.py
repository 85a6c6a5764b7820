"""A model's own cache, such as the keys and values of the tokens before: what it takes when the call has ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_modelbudget.counting.asking.input_tensors import tensors_of
from pytest_modelbudget.counting.torch_private import storage_identity, storage_of

_NAMES = ("past_key_values", "cache")
_MODULE = "transformers.cache_utils"


def cache_bytes(
    run: Callable[..., Any], positional: tuple[Any, ...], keyword: Mapping[str, Any], out: Any
) -> int | None:
    """Return the bytes of the distinct storages of the caches that a call returned or was given; None without any.

    A cache is what an output or an argument called ``past_key_values`` or ``cache`` holds, or an object of one of
    transformers' classes of caches. Of a static cache it is what that has allocated.
    """
    found: dict[int, int] = {}
    for value in (*_caches(_arguments(run, positional, keyword)), *_caches(_outputs(out))):
        for tensor in tensors_of(value):
            storage = storage_of(tensor)
            found[storage_identity(storage)] = storage.nbytes()
    return sum(found.values()) if found else None


def _caches(named: Iterator[tuple[str, Any]]) -> Iterator[Any]:
    for name, value in named:
        if name in _NAMES or any(kind.__module__ == _MODULE for kind in type(value).__mro__):
            yield value


def _arguments(
    run: Callable[..., Any], positional: tuple[Any, ...], keyword: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    yield from keyword.items()
    try:
        names = [*inspect.signature(getattr(run, "forward", run)).parameters]
    except (TypeError, ValueError):
        names = []
    yield from zip([*names, *[""] * len(positional)], positional, strict=False)


def _outputs(out: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(out, Mapping):
        yield from out.items()
    elif isinstance(out, (list, tuple)):
        yield from zip(getattr(out, "_fields", ("",) * len(out)), out, strict=True)
    else:
        yield "", out
        yield from getattr(out, "__dict__", {}).items()
