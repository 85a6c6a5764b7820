"""Evaluate an operator on meta tensors: which tensors come out of it, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_modelbudget.counting.operators.facts import Plan
from pytest_modelbudget.counting.shape_run.outcomes import Entry

ENTRIES_AT_MOST = 1 << 14
_total = 0


def look_up(plan: Plan, key: Any) -> Entry | None:
    """Return what is remembered for a call. Two generations bound the memo: what is used moves to the younger."""
    entry = plan.memo.get(key)
    if entry is None and plan.older:
        entry = plan.older.pop(key, None)
        if entry is not None:
            plan.memo[key] = entry
    return entry


def remember(plan: Plan, key: Any, entry: Entry, plans: Callable[[], list[Plan]]) -> None:
    """Keep what a call gives; when the younger generation is full it becomes the older one, and that is dropped."""
    global _total
    _total += 1
    if _total > ENTRIES_AT_MOST:
        _total = 1
        for known in plans():
            known.older, known.memo = known.memo, {}
    plan.memo[key] = entry
