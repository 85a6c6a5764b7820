"""Which tests are under a budget. pytest imports this module at every start, and with it nothing that is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_modelbudget.session.state import GUARD, our_marks

if TYPE_CHECKING:
    import pytest

    from pytest_modelbudget.session.state import Guard


def guard_of(item: pytest.Item) -> Guard | None:
    """Return the guard of ``item``; one whose marks may be ours gets it now.

    Raises BudgetError at the line of a malformed mark.
    """
    __tracebackhide__ = True
    guard = item.stash.get(GUARD, None)
    if guard is None and our_marks(item):
        from pytest_modelbudget.session.one_test.guard import guarded_by_marks

        guard = guarded_by_marks(item)
    return guard
