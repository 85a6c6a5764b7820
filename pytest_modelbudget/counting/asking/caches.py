"""A model's own cache, such as the keys and values of the tokens before: what it takes when the call has ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from pytest_modelbudget.counting.asking.input_tensors import tensors_of
from pytest_modelbudget.counting.torch_private import storage_identity, storage_of
from pytest_modelbudget.measurement import MeasurementError

_names = ["past_key_values", "cache"]
_TOKENS = ("decoder_input_ids", "input_ids")
_MODULE = "transformers.cache_utils"


def add_names(names: Iterable[str]) -> None:
    """Take outputs and arguments of these names for caches too. Raises ``TypeError`` for anything but names."""
    found = [names] if isinstance(names, str) else [*names]
    if not all(isinstance(name, str) for name in found):
        raise TypeError(f"a cache is known by the name of an output or argument, not by {found!r}")
    _names.extend(name for name in found if name not in _names)


def cache_bytes(
    run: Callable[..., Any], positional: tuple[Any, ...], keyword: Mapping[str, Any], out: Any
) -> int | None:
    """Return the bytes of the distinct storages of the caches that a call returned, or was given; None without any.

    A cache is what an output or an argument called ``past_key_values`` or ``cache`` holds, or an object of one of
    transformers' classes of caches. Of a static cache it is what that has allocated.
    """
    found: dict[int, int] = {}
    # What is returned may be another than what was given, which holds the tokens of before.
    for value in [*_caches(_outputs(out))] or _caches(_arguments(run, positional, keyword)):
        for tensor in tensors_of(value):
            storage = storage_of(tensor)
            found[storage_identity(storage)] = storage.nbytes()
    return sum(found.values()) if found else None


def filled_cache(
    run: Callable[..., Any], positional: tuple[Any, ...], keyword: Mapping[str, Any], tokens: int
) -> dict[str, Any]:
    """Return the caches that a call on ``tokens`` token ids returns, by the names under which the next one takes them.

    The ids take the place of those of one step. Raises :class:`MeasurementError` where there are none, or no cache.
    """
    name = next((name for name in _TOKENS if name in keyword), None)
    step = keyword[name] if name else positional[0] if positional else None
    if not isinstance(step, torch.Tensor) or step.dim() != 2 or step.is_floating_point():
        raise MeasurementError('cache is filled by token ids: give those of one step, as in inputs="1x1 int64"')
    ids = torch.zeros(step.shape[0], tokens, dtype=step.dtype, device=step.device)
    keyword = {**keyword, "use_cache": True} if _takes(run, "use_cache") else keyword
    out = run(*positional, **{**keyword, name: ids}) if name else run(ids, *positional[1:], **keyword)
    found = {name or _names[0]: value for name, value in _named_caches(_outputs(out))}
    if not found:
        known = " or ".join(_names)
        raise MeasurementError(f"cache: the model returned none, as {known}; pytest_modelbudget_caches adds names")
    return found


def _caches(named: Iterator[tuple[str, Any]]) -> Iterator[Any]:
    return (value for _, value in _named_caches(named))


def _named_caches(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in named:
        is_cache = name in _names or any(kind.__module__ == _MODULE for kind in type(value).__mro__)
        if is_cache and value is not None:
            yield name, value


def _arguments(
    run: Callable[..., Any], positional: tuple[Any, ...], keyword: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    yield from keyword.items()
    yield from zip([*_parameters(run), *[""] * len(positional)], positional, strict=False)


def _parameters(run: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(getattr(run, "forward", run)).parameters
    except (TypeError, ValueError):
        return {}


def _takes(run: Callable[..., Any], name: str) -> bool:
    found = _parameters(run)
    return name in found or not found or any(one.kind is one.VAR_KEYWORD for one in found.values())


def _outputs(out: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(out, Mapping):
        yield from out.items()
    elif isinstance(out, (list, tuple)):
        yield from zip(getattr(out, "_fields", ("",) * len(out)), out, strict=True)
    else:
        yield "", out
        yield from getattr(out, "__dict__", {}).items()
