"""The two ways in which a budget fails a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelbudget.budgets.judging import Verdict


class BudgetExceeded(AssertionError):  # noqa: N818 - the public name of the failure says what happened
    """A model costs more than its budget allows; ``verdicts`` holds what was judged, over or not.

    This is the only failure of the plugin that ``xfail`` excuses.
    """

    # pytest shows the qualified name of foreign exceptions, and the short summary has no room for it.
    __module__ = "builtins"

    def __init__(self, message: str, verdicts: tuple[Verdict, ...] = ()) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class BudgetError(ValueError):
    """A budget that cannot be held against anything: malformed, declared for nothing, or impossible to check."""

    __module__ = "builtins"


class MalformedLimit(ValueError):  # noqa: N818 - never seen by users: its text becomes part of another error
    """What is wrong with a limit, and one that works."""


class TableError(Exception):
    """Every mistake found in the table of a project, one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
