"""Marks that a test is given after its call, when nothing reads them any more."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelbudget.budgets import BudgetError, rules_of_mark
from pytest_modelbudget.session.one_test.guard import GuardedTest
from pytest_modelbudget.session.one_test.source_lines import place_of_mark
from pytest_modelbudget.session.state import GUARD, SESSION


def refuse_late_marks(item: pytest.Item, late: list[tuple[Any, pytest.Mark]]) -> None:
    """Raise BudgetError for the first of the marks that ``item`` was given after its call and that is ours."""
    __tracebackhide__ = True
    for node, mark in late:
        if not _is_ours(item, node, mark):
            continue
        place = place_of_mark(mark, node)
        error = BudgetError(
            f"{place}: a mark that is added after the test has run, or after model_budget has measured, limits "
            "nothing: add it while the test is set up, as a fixture does before its yield"
        )
        guard = item.stash.get(GUARD, None)
        if not isinstance(guard, GuardedTest):
            guard = item.stash[GUARD] = GuardedTest(item)
        guard.fail(error, leaves_call=False)


def _is_ours(item: pytest.Item, node: Any, mark: pytest.Mark) -> bool:
    """Return whether a mark is ours; a malformed one is."""
    shared = item.config.stash[SESSION].shares_mark
    try:
        return rules_of_mark(mark.name, mark.args, mark.kwargs, place_of_mark(mark, node), shared=shared) is not None
    except BudgetError:
        return True
