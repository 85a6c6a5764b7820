"""Numbers for JSON in little room: exact in JavaScript too, and as a multiple of others where they are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_EXACT_IN_JAVASCRIPT: Final = 2**53


def exact(number: int) -> int | str:
    """Return a number, as text where JavaScript would round it."""
    return number if -_EXACT_IN_JAVASCRIPT < number < _EXACT_IN_JAVASCRIPT else str(number)


def compact(values: Sequence[int], known: Mapping[str, Sequence[int]]) -> Any:
    """Return values as they are, or as so many times those that are known by a name: bytes are four times params."""
    for name, others in known.items():
        times = _times(values, others)
        if times is not None:
            return {"like": name, "times": exact(times)}
    return [exact(value) for value in values]


def _times(values: Sequence[int], others: Sequence[int]) -> int | None:
    first = next(((value, other) for value, other in zip(values, others, strict=False) if other), None)
    if first is None or len(values) != len(others):
        return None
    times = first[0] // first[1]
    return times if all(value == times * other for value, other in zip(values, others, strict=True)) else None
