"""What can be wrong with a budget itself."""

from __future__ import annotations

from pytest_modelbudget.budgets.places import Place


class BudgetError(ValueError):
    """A budget that cannot be held against anything: malformed, declared for nothing, or impossible to check.

    ``place`` is where it was declared, if it is that place that is wrong.
    """

    __module__ = "pytest_modelbudget"  # where it is imported from
    place: Place | None = None


class MalformedLimit(ValueError):  # noqa: N818 - never seen by users: its text becomes part of another error
    """What is wrong with a limit, and one that works."""


class TableError(Exception):
    """Every mistake found in the table of a project, one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
