"""Which exception carries which, and which of them ``xfail`` excuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_modelbudget.budgets import BudgetExceeded


def carries(raised: BaseException | None, error: BaseException) -> bool:
    """Tell whether ``error`` is ``raised``, or shown with it: as its cause, in its group, by a doctest."""
    return any(one is error for one in _shown_with(raised, set()))


def excused_by_xfail(item: pytest.Item) -> bool:
    """Tell whether an ``xfail`` mark of ``item`` speaks of BudgetExceeded."""
    return any(_covers(mark.kwargs.get("raises")) for mark in item.iter_markers("xfail"))


def _shown_with(raised: Any, seen: set[int]) -> Iterator[BaseException]:
    if not isinstance(raised, BaseException) or id(raised) in seen:
        return
    seen.add(id(raised))
    yield raised
    wrapped = getattr(raised, "exc_info", None)  # doctest.UnexpectedException
    below = [raised.__cause__, raised.__context__, *(wrapped if isinstance(wrapped, tuple) else ())]
    for members in ("exceptions", "failures"):  # ExceptionGroup, pytest's MultipleDoctestFailures
        below += getattr(raised, members, None) or ()
    for one in below:
        yield from _shown_with(one, seen)


def _covers(raises: Any) -> bool:
    if raises is None:
        return True
    kinds = raises if isinstance(raises, tuple) else (raises,)
    return any(isinstance(kind, type) and issubclass(BudgetExceeded, kind) for kind in kinds)
