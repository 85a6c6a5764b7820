"""One test under a budget.

pytest imports this at every start: whatever only a test under a budget needs is imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_modelbudget.metrics import MARKS, METRICS

if TYPE_CHECKING:
    from pytest_modelbudget.session.one_test.guard import Guard

Phase = Literal["setup", "call", "teardown"]

GUARD: pytest.StashKey[Guard] = pytest.StashKey()
"""On a test under a budget: what watches it."""
READ: pytest.StashKey[tuple[pytest.Mark, ...]] = pytest.StashKey()
"""The marks that a test had when they were read; one that comes later limits nothing."""
DECLARED: pytest.StashKey[pytest.Mark] = pytest.StashKey()
"""On the items of declared models, which measure by themselves: the mark that they have from the start."""


def forget(item: pytest.Item) -> None:
    """Forget an earlier attempt at a test: plugins may run it once more, and a rerun starts anew."""
    keys: tuple[pytest.StashKey[Any], ...] = (GUARD, READ)
    for key in keys:
        if key in item.stash:
            del item.stash[key]


@contextmanager
def watched(item: pytest.Item, phase: Phase) -> Iterator[None]:
    """Run one phase of a test, and raise at its end what the test has to fail with, if it is under a budget by then."""
    __tracebackhide__ = True
    raised: BaseException | None = None
    guard = item.stash.get(GUARD, None)
    try:
        with guard.observing() if guard is not None and phase == "call" else nullcontext():
            yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:
        raised = error
    # Outside of the `except`, so that what the guard raises is not shown as raised while handling this one.
    guard = item.stash.get(GUARD, None)  # the phase itself may have asked for the fixture
    if guard is not None:
        guard.end(phase, raised)
    if raised is not None:
        raise raised


def read_marks(item: pytest.Item) -> None:
    """Read the marks of a test, once: when its call is about to begin, or when a fixture measures before.

    Raises BudgetError at the line of a malformed mark.
    """
    __tracebackhide__ = True
    if READ in item.stash:
        return
    item.stash[READ] = tuple(mark for _, mark in our_marks(item))
    if item.stash[READ]:
        from pytest_modelbudget.session.one_test.guard import guard_by_marks

        guard_by_marks(item)


def refuse_late_marks(item: pytest.Item) -> None:
    """Raise BudgetError for a mark of ours that a test has got since its marks were read."""
    __tracebackhide__ = True
    if READ not in item.stash:  # the test did not come to its call
        return
    for node, mark in our_marks(item):
        if not any(mark is known for known in item.stash[READ]):
            from pytest_modelbudget.session.one_test.guard import refuse

            refuse(item, node, mark)


def is_under_budget(item: pytest.Item) -> bool:
    """Return whether ``item`` has a mark that may be ours, or asks for the fixture."""
    return asks_for_fixture(item) or bool(our_marks(item))


def asks_for_fixture(item: pytest.Item) -> bool:
    """Return whether ``item`` names the fixture among its arguments, or uses one that does."""
    return "model_budget" in getattr(item, "fixturenames", ())


def our_marks(item: pytest.Item) -> list[tuple[Any, pytest.Mark]]:
    """Return the marks of ``item`` that may be ours, the closest first, each with its function, class or module."""
    return [(node, mark) for node, mark in item.iter_markers_with_node() if _may_be_ours(mark, item.config)]


def _may_be_ours(mark: pytest.Mark, config: pytest.Config) -> bool:
    """Return whether a mark has one of our names, or limits a metric under a close one that is not registered."""
    if mark.name in MARKS or METRICS.keys().isdisjoint(mark.kwargs):
        return mark.name in MARKS
    from difflib import get_close_matches

    # Only a mark that limits one of our metrics comes here: a near miss such as @pytest.mark.budgets(macs=...).
    letters = re.sub("[^a-z]", "", mark.name.lower())
    is_close = get_close_matches(letters, MARKS, cutoff=0.8)
    return bool(is_close) and mark.name not in registered_marks(config)


def registered_marks(config: pytest.Config) -> list[str]:
    """Return the names of the marks that the project and its plugins have registered."""
    return [re.split(r"[(:\s]", line.strip())[0] for line in config.getini("markers")]
