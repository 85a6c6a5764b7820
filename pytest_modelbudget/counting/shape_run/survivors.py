"""No shape tensor, and none with stale data, may outlive its run: find one that does, and who holds it."""

from __future__ import annotations

import functools
import gc
import types
from collections.abc import Sequence
from typing import Any, Protocol

from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved
from pytest_modelbudget.measurement import MeasurementError


class Survivors(Protocol):
    """What a run knows of the tensors that it made."""

    def any_survives(self) -> bool:
        """Return whether one may still live, without searching."""

    def survivors(self) -> Sequence[Any]:
        """Return those that still live."""

    def take_back(self) -> None:
        """Take them out of the modules that existed before."""


def check_none_survives(run: Survivors) -> None:
    """Raise :class:`MeasurementError` if a tensor of the run still lives, naming its holder.

    A tensor without data that a cache hands out later would break a real call, and one whose values the run does not
    know would make it wrong. Caches of ``functools`` are cleared, where they hold one, and modules that existed before
    get back what they held.
    """
    __tracebackhide__ = True
    # Most runs leave cycles that are young; a whole collection is slow in a large process.
    for generation in (0, 2):
        if not run.any_survives():
            return
        gc.collect(generation)
    if clear_caches(run.survivors()):
        gc.collect()
    if run.any_survives():
        run.take_back()
        gc.collect()
    if not run.any_survives():
        return
    alive = run.survivors()
    holder = _holder_of(alive[0]) if alive else "what Python does not see, such as a graph of autograd"
    is_stale = bool(alive) and not is_reserved(alive[0])
    what = "a tensor whose values are not known" if is_stale else "a tensor without data"
    would = "make a later real call wrong" if is_stale else "break a later real call"
    raise MeasurementError(
        f"{what} outlived the measurement, held by {holder}. It would {would}: clear that cache, or "
        "measure an instance that was built before"
    )


_FOLLOWED_NO_FURTHER = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.FrameType,
    types.CodeType,
    type,
)
_MOST_FOLLOWED = 100_000  # objects below one cache


def clear_caches(tensors: Sequence[Any]) -> int:
    """Clear every cache of ``functools`` that holds one of the tensors, and return how many those were."""
    targets = set(map(id, tensors))
    if not targets:
        return 0
    # The class has no public name.
    kind = type(functools.lru_cache(int))
    caches = [item for item in gc.get_objects() if type(item) is kind and item.cache_info().currsize]
    held = [cache for cache in caches if _leads_to(cache, targets)]
    for cache in held:
        cache.cache_clear()
    return len(held)


def _leads_to(holder: Any, targets: set[int]) -> bool:
    """Return whether any of the targets is reached from a holder, other than through what belongs to everyone."""
    seen, pending = {id(holder)}, gc.get_referents(holder)
    while pending and len(seen) < _MOST_FOLLOWED:
        item = pending.pop()
        if id(item) in targets:
            return True
        if id(item) in seen or isinstance(item, _FOLLOWED_NO_FURTHER):
            continue
        seen.add(id(item))
        if gc.is_tracked(item):
            pending.extend(gc.get_referents(item))
    return False


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
