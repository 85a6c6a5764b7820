"""Several names as one: ``layers.*.up`` for what differs in numbers, ``0-31`` for keys that follow on each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby
from typing import TypeVar

T = TypeVar("T")

_NUMBER = re.compile(r"\d+")
_LONGEST_KEYS = 16


def without_numbers(name: str) -> str:
    """Return a name with a star for each number in it: ``layers.*.up``."""
    return _NUMBER.sub("*", name)


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts ``layers.2`` before ``layers.10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def grouped(found: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Return what has the same key as one list, in the order of the first of each."""
    groups: dict[Hashable, list[T]] = {}
    for each in found:
        groups.setdefault(key(each), []).append(each)
    return [*groups.values()]


def times(number: int) -> str:
    """Return how many there are of something: `` x32``, and nothing for a single one."""
    return f" x{number:,}" if number > 1 else ""


def pattern(names: Sequence[str]) -> str:
    """Return names that differ in some parts as one: ``layers.*.up``, ``layer*.*.conv1``."""
    parts = [name.split(".") for name in names]
    if len({*map(len, parts)}) != 1:
        return ", ".join(names)
    return ".".join(_common(column) for column in zip(*parts, strict=True))


def _common(column: Sequence[str]) -> str:
    if len({*column}) == 1:
        return column[0]
    stems = {*map(without_numbers, column)}
    return stems.pop() if len(stems) == 1 else "*"


def keys(names: Sequence[str]) -> str:
    """Return the names of siblings as one: ``0-31``, ``conv1, conv3``, or ``*`` where that would be long."""
    text = ranges(names) if all(map(str.isdecimal, names)) else ", ".join(names)
    return text if len(text) <= _LONGEST_KEYS or len(names) == 1 else pattern(names)


def ranges(names: Sequence[str]) -> str:
    """Return names with runs of numbers in short: ``0-2,5,head``, ``tower_00-tower_39``."""

    def numbered(pair: tuple[int, str]) -> tuple[str, int | None]:
        stem = pair[1].rstrip("0123456789")
        return stem, int(pair[1][len(stem) :]) - pair[0] if stem != pair[1] else None

    parts = []
    for _, run in groupby(enumerate(names), numbered):
        first, *others = [name for _, name in run]
        parts.append(f"{first}-{others[-1]}" if others else first)
    return ",".join(parts)
