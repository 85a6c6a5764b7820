"""What one run of pytest knows: its table, and on the controller what its tests found.

pytest imports this module at every start, so it imports nothing that a run without budgets does not need.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import ModuleType
    from typing import Protocol

    from pytest_modelbudget.budgets import Table
    from pytest_modelbudget.results import TestResult
    from pytest_modelbudget.results.baseline import Lock
    from pytest_modelbudget.session.locking import LockFile

    class Guard(Protocol):
        """What the hooks need of a test under a budget."""

        def watching(self) -> AbstractContextManager[None]:
            """Run the call of the test, and fail if it has to."""

        def after_call(self) -> None:
            """Fail if a test has to that came under a budget only while it was called."""

        def after_teardown(self) -> None:
            """Fail if something was lost in teardown."""

        def after_report(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
            """See to it that the report of a phase shows what it has to."""


MARKS = ("budget", "modelbudget")
"""The names of the marks."""


class Collection:
    """What happened while tests were collected, and which of them ended."""

    def __init__(self) -> None:
        self.failed = self.skipped = self.is_partial = False
        self.left_out: set[str] = set()
        self.collected = 0
        self.ended: set[str] = set()


class Session:
    """The state of one run; it lives in ``config.stash``.

    ``table_data`` is the project's table as builtins: the controller reads it once, and hands it to its workers.
    ``tests`` holds on the controller what each test found, by node id.
    """

    def __init__(self, config: pytest.Config, is_controller: bool, table_data: dict[str, Any] | None) -> None:
        self.config = config
        self.is_controller = is_controller
        self.table_data = table_data
        self.tests: dict[str, TestResult] = {}
        self.collection = Collection()
        self.lost_workers: list[str] = []
        self.internal_errors: list[str] = []
        self.reports_a_run_failure = False
        self.sources: dict[Path, ast.Module | None] = {}
        self.lock_file: LockFile | None = None
        self.lock_text: str | None = None
        self.failed: set[str] = set()
        self.runs_again: set[str] = set()
        self.notes: list[str] = []
        self.prune_refused = ""
        self._lock: Lock | None = None
        self._table: Table | None = None
        self._knows_formulas = False

    @classmethod
    def start(cls, config: pytest.Config) -> Session:
        """Return the state at the start of a run. Raises pytest.UsageError for a table with mistakes."""
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            session = cls(config, False, workerinput.get("modelbudget"))
            session.lock_text = workerinput.get("modelbudget_lock")
            return session
        from pytest_modelbudget.session.tables import find_table, may_have_lock

        session = cls(config, True, find_table(config))
        if session.table_data is not None or may_have_lock(config):
            from pytest_modelbudget.session.locking import find_lock

            session.lock_file = find_lock(config, session.table)
            session.lock_text = session.lock_file.text
        return session

    def note_left_out(self, is_partial: bool, left_out: Iterable[str]) -> None:
        """Note whether tests were left out after they had been collected, and which of them are under a budget.

        A worker tells its controller.
        """
        self.collection.is_partial |= is_partial
        self.collection.left_out.update(left_out)
        if not self.is_controller:
            told = [self.collection.is_partial, sorted(self.collection.left_out)]
            self.config.workeroutput["modelbudget_left_out"] = told  # type: ignore[attr-defined]

    def note_rerun(self, nodeid: str, begins: bool, outcome: str) -> None:
        """Note whether plugins that run a test again have announced that of a test which failed."""
        if begins:
            self.runs_again.discard(nodeid)
        if outcome == "rerun":
            self.runs_again.add(nodeid)

    @property
    def in_use(self) -> bool:
        """Whether this run has anything to do with budgets; where a worker broke, nobody knows what was lost."""
        asked_for = self.table_data is not None or self.lock_file is not None
        return asked_for or bool(self.tests or self.internal_errors or self.config.getoption("modelbudget_report"))

    @property
    def declares_models(self) -> bool:
        """Whether the table declares models that need no test."""
        return bool(self.table_data and self.table_data["declared"])

    @property
    def lock(self) -> Lock | None:
        """The project's baseline, if it has one; the controller has checked it."""
        if self._lock is None and self.lock_text is not None:
            from pytest_modelbudget.results.baseline import read_lock

            self._lock = read_lock(self.lock_text, "the baseline", self.table.flops_per_mac)
        return self._lock

    @property
    def table(self) -> Table:
        """The project's table, or an empty one."""
        if self._table is None:
            import msgspec

            from pytest_modelbudget.budgets import Table

            self._table = msgspec.convert(self.table_data or {}, Table)
        return self._table

    @property
    def shares_mark(self) -> bool:
        """Whether somebody else has registered a mark that is called ``budget`` too."""
        names = [re.split(r"[(:\s]", line.strip())[0] for line in self.config.getini("markers")]
        return names.count("budget") > 1

    def counting(self) -> ModuleType:
        """Return the engine, with the formulas that the project's hooks give."""
        from pytest_modelbudget import counting
        from pytest_modelbudget.budgets import BudgetError

        if not self._knows_formulas:
            try:
                self._register_formulas(counting.formula)
            except BudgetError:
                raise
            except Exception as error:
                kind = type(error).__name__
                raise BudgetError(f"the hook pytest_modelbudget_formulas failed: {kind}: {error}") from error
            self._knows_formulas = True
        return counting

    def _register_formulas(self, register: Callable[[str], Callable[[Any], Any]]) -> None:
        from pytest_modelbudget.budgets import BudgetError

        for formulas in self.config.hook.pytest_modelbudget_formulas():
            if not isinstance(formulas, dict):
                kind = type(formulas).__name__
                raise BudgetError(f'pytest_modelbudget_formulas returned {kind}; return a dict {{"ns::op": f}}')
            for operator, formula in formulas.items():
                register(operator)(formula)


SESSION: pytest.StashKey[Session] = pytest.StashKey()
GUARD: pytest.StashKey[Guard] = pytest.StashKey()
DECLARED: pytest.StashKey[pytest.Mark] = pytest.StashKey()
"""On the items of declared models, which measure by themselves: the mark that they have from the start."""


def is_under_budget(item: pytest.Item) -> bool:
    """Return whether ``item`` has a mark that may be ours, or asks for the fixture."""
    return any(our_marks(item)) or "model_budget" in getattr(item, "fixturenames", ())


def our_marks(item: pytest.Item) -> Iterator[pytest.Mark]:
    """Yield the marks of ``item`` that may be ours, the closest first."""
    return (mark for mark in item.iter_markers() if mark.name in MARKS)
