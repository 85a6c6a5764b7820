"""How much memory a real run may take: what is free on the machine, and what its container leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import psutil

from pytest_modelbudget.counting.errors import is_interrupt

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def free_memory() -> float:
    """Return the bytes of memory that this process may still take; infinity where nothing says how much is free."""
    try:
        free: float = psutil.virtual_memory().available
    except (OSError, RuntimeError, KeyError) as error:  # /proc is hidden, as by a test's fake file system
        if is_interrupt(error):  # a TimeoutError is an OSError
            raise
        free = math.inf
    return max(0, min([free, *_left_by_containers()]))


def _left_by_containers() -> Iterator[int]:
    """Yield what each control group of this process leaves of its limit; a group also bounds those below it."""
    for group in _memory_groups():
        for limit_file, usage_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, usage = _number(group / limit_file), _number(group / usage_file)
            if limit is not None and usage is not None:
                yield limit - usage + _reclaimable(group)


def _memory_groups() -> Iterator[Path]:
    """Yield the folders of the memory groups of this process, of both versions, and of all groups above."""
    for line in _lines(_MEMBERSHIP):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUPS / "memory" if controllers else _CGROUPS
        group = root / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder == root or root in folder.parents)


def _reclaimable(group: Path) -> int:
    """Return the bytes of cached files in a group, which the system gives up when memory is asked for."""
    for line in _lines(group / "memory.stat"):
        key, _, value = line.partition(" ")
        if key in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is none, or where it is ``max``."""
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        if is_interrupt(error):
            raise
        return []
