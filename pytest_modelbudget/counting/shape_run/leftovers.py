"""Nothing of a shape run may outlive it: find what still lives, and who holds it."""

from __future__ import annotations

import gc
import types
from typing import TYPE_CHECKING, Any

from pytest_modelbudget.counting.errors import MeasurementError

if TYPE_CHECKING:
    from pytest_modelbudget.counting.shape_run.mode import ShapeRun


def check(run: ShapeRun) -> None:
    """Raise :class:`MeasurementError` if a shape tensor still lives, naming its holder.

    A tensor without data that a cache hands out later would poison a real call.
    """
    __tracebackhide__ = True
    for generation in (0, 2):
        if not run.survivors():
            return
        gc.collect(generation)
    alive = run.survivors()
    if alive:
        raise MeasurementError(
            f"a tensor without data outlived the measurement, held by {_holder(alive[0])}. It would break a later real "
            "call: clear that cache, or measure an instance that was built before"
        )


_SEARCHED_AT_MOST = 50  # objects; each search walks the heap


def _holder(target: Any) -> str:
    """Return the nearest named thing that leads to ``target``, searching from it outwards."""
    pending, seen = [target], {id(target)}
    for searched in range(_SEARCHED_AT_MOST):
        if searched >= len(pending):
            break
        for referrer in gc.get_referrers(pending[searched]):
            if id(referrer) in seen or referrer is pending or isinstance(referrer, types.FrameType):
                continue
            name = _name(referrer, pending[searched])
            if name:
                return name
            seen.add(id(referrer))
            pending.append(referrer)
    return "an object that cannot be told"


def _name(holder: Any, held: Any) -> str:
    if isinstance(holder, types.FunctionType):
        return f"the function {holder.__qualname__} ({holder.__code__.co_filename}:{holder.__code__.co_firstlineno})"
    if type(holder).__name__ == "_lru_cache_wrapper":
        return f"the cache of {holder.__module__}.{holder.__qualname__}()"
    if isinstance(holder, dict) and "__name__" in holder and "__builtins__" in holder:
        names = [name for name, value in holder.items() if value is held]
        return f"the global {holder['__name__']}.{names[0] if names else '?'}"
    return ""
