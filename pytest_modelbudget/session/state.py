"""The state of one run of pytest: the project's table and lock, and on the controller the results of the tests.

pytest imports this module at every start, so it imports nothing that a run without budgets does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

    from pytest_modelbudget.budgets import Table
    from pytest_modelbudget.results import TestResult
    from pytest_modelbudget.results.baseline import Lock
    from pytest_modelbudget.session.files.lock_file import LockFile


class Collection:
    """Which tests pytest collected, and which of them it has run to the end.

    ``items`` are all collected tests, and ``files`` the files in which they are; ``left_out`` are the tests under a
    budget that were deselected afterwards, and ``is_partial`` says whether any test was deselected. ``failed`` and
    ``skipped`` are the node ids of files and folders that could not be collected, or were skipped as a whole.
    """

    def __init__(self) -> None:
        self.is_partial = False
        self.failed: list[str] = []
        self.skipped: list[str] = []
        self.items: list[pytest.Item] = []
        self.files: set[str] = set()
        self.left_out: set[str] = set()
        self.collected = 0
        self.ended: set[str] = set()


class Session:
    """The state of one run; it lives in ``config.stash``.

    ``table_data`` is the project's table as plain dicts and lists: the controller reads it once, and sends it to its
    workers. ``tests`` holds the result of each test under a budget, by node id, and ``failed`` the traceback in the
    first report of each failed test; both are filled on the controller.
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
        self.sources: dict[object, tuple[Path, list[ast.AST]]] = {}
        self.lock_file: LockFile | None = None
        self.lock_text: str | None = None
        self.failed: dict[str, Any] = {}
        self.notes: list[str] = []
        self.prune_refused = ""
        self.skipped_in_part: set[str] = set()
        self.knows_formulas = False
        self._lock: Lock | None = None
        self._table: Table | None = None

    @classmethod
    def start(cls, config: pytest.Config) -> Session:
        """Return the state at the start of a run. Raises pytest.UsageError for a table with mistakes."""
        # pytest-xdist sets it in workers alone.
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            session = cls(config, False, workerinput.get("modelbudget"))
            session.lock_text = workerinput.get("modelbudget_lock")
            return session
        from pytest_modelbudget.session.files.in_use import find_table, may_have_lock, refuse_others

        session = cls(config, True, find_table(config))
        refuse_others(config, session.table_data)
        if session.table_data is not None or may_have_lock(config):
            from pytest_modelbudget.session.files.lock_file import find_lock

            session.lock_file = find_lock(config, session.table)
            session.lock_text = session.lock_file.text
        return session

    def note_collected(self, is_partial: bool, left_out: Iterable[str], files: Iterable[str] = ()) -> None:
        """Note whether tests were left out after they had been collected, and which of them are under a budget.

        A worker sends that to its controller, with the collected files where an entry of table or lock may be stale.
        """
        collection = self.collection
        collection.is_partial |= is_partial
        collection.left_out.update(left_out)
        collection.files.update(files)
        if not self.is_controller:
            # Only entries of a table or lock can be stale; else the list of files would be sent for nothing.
            may_be_stale = self.table_data is not None or self.lock_text is not None
            found = sorted(collection.files) if may_be_stale else []
            sent = [collection.is_partial, sorted(collection.left_out), found]
            self.config.workeroutput["modelbudget_collected"] = sent  # type: ignore[attr-defined]

    def engine(self) -> ModuleType:
        """Return the package that measures, once it knows the formulas and the names of caches of the project.

        Raises BudgetError where a hook fails, or returns what it should not.
        """
        from pytest_modelbudget import counting
        from pytest_modelbudget.budgets import BudgetError

        if not self.knows_formulas:
            hooks = {
                "pytest_modelbudget_formulas": counting.add_formulas,
                "pytest_modelbudget_caches": counting.add_names_of_caches,
            }
            for name, add in hooks.items():
                try:
                    for found in getattr(self.config.hook, name)():
                        add(found)
                except Exception as error:
                    raise BudgetError(f"the hook {name} failed: {type(error).__name__}: {error}") from error
            self.knows_formulas = True
        return counting

    @property
    def in_use(self) -> bool:
        """Whether budgets matter in this run; after an internal error they may, as no test may have come to its end."""
        if self.config.getoption("collectonly"):
            return False
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


SESSION: pytest.StashKey[Session] = pytest.StashKey()
