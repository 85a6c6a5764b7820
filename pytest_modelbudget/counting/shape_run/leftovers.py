"""No shape tensor may outlive its run: find one that does, and who holds it."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Sequence
from typing import Any

from pytest_modelbudget.counting.errors import MeasurementError


def check_none_survives(survivors: Callable[[], Sequence[Any]]) -> None:
    """Raise :class:`MeasurementError` if a tensor that ``survivors`` returns still lives, naming its holder.

    A tensor without data that a cache hands out later would break a real call.
    """
    __tracebackhide__ = True
    for generation in (0, 2):
        if not survivors():
            return
        gc.collect(generation)
    alive = survivors()
    if alive:
        raise MeasurementError(
            f"a tensor without data outlived the measurement, held by {_holder_of(alive[0])}. It would break a later "
            "real call: clear that cache, or measure an instance that was built before"
        )


_MOST_SEARCHED = 50  # objects; each search walks the heap


def _holder_of(target: Any) -> str:
    """Return the nearest named thing that leads to ``target``, searching from it outwards."""
    pending, seen = [target], {id(target)}
    for searched in range(_MOST_SEARCHED):
        if searched >= len(pending):
            break
        for referrer in gc.get_referrers(pending[searched]):
            if id(referrer) in seen or referrer is pending or isinstance(referrer, types.FrameType):
                continue
            name = _name_of(referrer, pending[searched])
            if name:
                return name
            seen.add(id(referrer))
            pending.append(referrer)
    return "an unidentified object"


def _name_of(holder: Any, held: Any) -> str:
    if isinstance(holder, types.FunctionType):
        return f"the function {holder.__qualname__} ({holder.__code__.co_filename}:{holder.__code__.co_firstlineno})"
    if type(holder).__name__ == "_lru_cache_wrapper":
        return f"the cache of {holder.__module__}.{holder.__qualname__}()"
    if isinstance(holder, dict) and "__name__" in holder and "__builtins__" in holder:
        names = [name for name, value in holder.items() if value is held]
        return f"the global {holder['__name__']}.{names[0] if names else '?'}"
    return ""
