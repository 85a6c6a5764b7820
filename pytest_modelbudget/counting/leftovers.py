"""Nothing of a shape run may outlive it: find what still lives, and who holds it."""

from __future__ import annotations

import gc
import types
from typing import TYPE_CHECKING, Any

from pytest_modelbudget.counting.errors import MeasurementError

if TYPE_CHECKING:
    from pytest_modelbudget.counting.shape_run import ShapeRun


def check(run: ShapeRun) -> None:
    """Raise :class:`MeasurementError` if a shape tensor still lives, naming its holder.

    A tensor without data that a cache hands out later would poison a real call.
    """
    for generation in (0, 2):
        if not run.survivors():
            return
        gc.collect(generation)
    alive = run.survivors()
    if alive:
        holder = _holder(alive[0], {id(alive)})
        raise MeasurementError(
            f"a tensor without data outlived the measurement, held by {holder}. It would break a later real call: "
            "clear that cache, or measure an instance that was built before"
        )


def _holder(target: Any, ours: set[int], depth: int = 0) -> str:
    for referrer in gc.get_referrers(target):
        if id(referrer) in ours or isinstance(referrer, types.FrameType):
            continue
        if isinstance(referrer, types.ModuleType):
            return f"the module {referrer.__name__}"
        if isinstance(referrer, types.FunctionType):
            return f"the function {referrer.__qualname__} ({referrer.__code__.co_filename}:{referrer.__code__.co_firstlineno})"
        if type(referrer).__name__ == "_lru_cache_wrapper":
            return f"the cache of {referrer.__module__}.{referrer.__qualname__}()"
        if isinstance(referrer, dict) and "__name__" in referrer and "__builtins__" in referrer:
            names = [name for name, value in referrer.items() if value is target]
            return f"the global {referrer['__name__']}.{names[0] if names else '?'}"
        if depth < 8:
            found = _holder(referrer, {*ours, id(target), id(referrer)}, depth + 1)
            if found:
                return found
        if type(referrer).__module__ != "builtins":
            return f"a {type(referrer).__module__}.{type(referrer).__qualname__}"
    return "" if depth else "an object that cannot be told"
