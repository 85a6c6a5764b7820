"""What one run of pytest knows: its table, and on the controller what its tests found.

pytest imports this module at every start, so it imports nothing that a run without budgets does not need.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelbudget.metrics import MARKS, METRICS

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import ModuleType
    from typing import Protocol

    from pytest_modelbudget.budgets import Rules, Table
    from pytest_modelbudget.results import TestResult
    from pytest_modelbudget.results.baseline import Lock
    from pytest_modelbudget.session.files.lock_file import LockFile

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


class Collection:
    """What happened while tests were collected, and which of them ended.

    ``items`` are all that were collected, whatever is left out later, and ``files`` those that were. ``failed`` and
    ``skipped`` are the node ids of which that could not be done, or which a skip kept from it.
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


class Attempts:
    """What has been reported of the latest attempt at each test that runs: plugins may run a test once more.

    ``hidden`` holds the failures of which pytest has counted none of the reports of their attempt, by node id.
    """

    def __init__(self) -> None:
        self._reported: dict[tuple[str, str], dict[str | None, str]] = {}
        self.hidden: dict[str, str] = {}

    def note(self, report: pytest.TestReport) -> None:
        """Note a report; that of a setup begins an attempt, and what the one before it hid is made good by it."""
        key = _key(report)
        if report.when == "setup" or key not in self._reported:
            self._reported[key] = {}
            self.hidden.pop(report.nodeid, None)
        self._reported[key][report.when] = report.outcome

    def end(self, report: pytest.TestReport, failure: str = "") -> bool:
        """End the attempt with the report of its teardown, and return whether that has to show ``failure``.

        It does not where a plugin runs the test once more: it reports a rerun, or keeps the report of the failure back.
        """
        reported = self._reported[_key(report)]
        if not failure or "failed" in (reported.get("setup"), reported.get("call")):
            return False
        self.hidden[report.nodeid] = failure
        kept_back = "setup" not in reported or ("call" not in reported and reported["setup"] == "passed")
        return not kept_back and not {"rerun", "failed"} & {*reported.values()}

    def settle(self, report: pytest.TestReport) -> None:
        """Note what the hooks of others have made of a report, among which pytest has counted it."""
        key, is_excused = _key(report), hasattr(report, "wasxfail")
        self._reported.setdefault(key, {})[report.when] = "excused" if is_excused else report.outcome
        if report.when == "teardown":
            del self._reported[key]
        if report.failed and not is_excused:
            self.hidden.pop(report.nodeid, None)


def _key(report: pytest.TestReport) -> tuple[str, str]:
    return report.nodeid, getattr(report, "worker_id", "")


class Session:
    """The state of one run; it lives in ``config.stash``.

    ``table_data`` is the project's table as builtins: the controller reads it once, and hands it to its workers.
    ``tests`` holds on the controller what each test found, by node id; ``found`` is that too, encoded, where the test
    ran and until its last report has it. ``failed`` has what the first report of each failed test
    shows.
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
        self.attempts = Attempts()
        self.found: dict[str, bytes] = {}
        self.failed: dict[str, Any] = {}
        self.notes: list[str] = []
        self.prune_refused = ""
        self.skipped_in_part: set[str] = set()
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
        from pytest_modelbudget.session.files.ignored_locks import may_have_lock, refuse_locks_at_start
        from pytest_modelbudget.session.files.tables import find_table

        session = cls(config, True, find_table(config))
        refuse_locks_at_start(config, session.table_data)
        if session.table_data is not None or may_have_lock(config):
            from pytest_modelbudget.session.files.lock_file import find_lock

            session.lock_file = find_lock(config, session.table)
            session.lock_text = session.lock_file.text
        return session

    def note_collected(self, is_partial: bool, left_out: Iterable[str], files: Iterable[str] = ()) -> None:
        """Note whether tests were left out after they had been collected, and which of them are under a budget.

        A worker tells its controller, and the collected files where an entry may be stale.
        """
        collection = self.collection
        collection.is_partial |= is_partial
        collection.left_out.update(left_out)
        collection.files.update(files)
        if not self.is_controller:
            may_be_stale = self.table_data is not None or self.lock_text is not None
            found = sorted(collection.files) if may_be_stale else []
            told = [collection.is_partial, sorted(collection.left_out), found]
            self.config.workeroutput["modelbudget_collected"] = told  # type: ignore[attr-defined]

    def attach(self, report: pytest.TestReport) -> None:
        """Give the last report of a test what the test found, where a hook has made that report anew."""
        found = self.found.pop(report.nodeid, None) if report.when == "teardown" else None
        if found is not None and not hasattr(report, "modelbudget"):
            report.modelbudget = found  # type: ignore[attr-defined]  # reports are open

    @property
    def in_use(self) -> bool:
        """Whether this run has anything to do with budgets; where a worker broke, nobody knows what was lost."""
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

    @property
    def registered_marks(self) -> list[str]:
        """The names of the marks that the project and its plugins have registered."""
        return [re.split(r"[(:\s]", line.strip())[0] for line in self.config.getini("markers")]

    @property
    def shares_mark(self) -> bool:
        """Whether somebody else has registered a mark that is called ``budget`` too."""
        return self.registered_marks.count("budget") > 1

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
READ: pytest.StashKey[tuple[tuple[Any, pytest.Mark], ...]] = pytest.StashKey()
"""The marks of an item that were read, the closest first: they hold, whatever the test removes; a rerun too."""
AT_END: pytest.StashKey[list[pytest.Mark]] = pytest.StashKey()
"""The marks of an item when its call had ended, or the fixture had measured: one that comes later limits nothing."""
RULES: pytest.StashKey[dict[int, Rules | None]] = pytest.StashKey()
"""What the marks that were read declare, by their identity: the arguments of a mark can be changed."""
DECLARED: pytest.StashKey[pytest.Mark] = pytest.StashKey()
"""On the items of declared models, which measure by themselves: the mark that they have from the start."""


def is_under_budget(item: pytest.Item) -> bool:
    """Return whether ``item`` has a mark that may be ours, or asks for the fixture."""
    return bool(our_marks(item)) or "model_budget" in getattr(item, "fixturenames", ())


def our_marks(item: pytest.Item) -> list[pytest.Mark]:
    """Return the marks of ``item`` that may be ours, the closest first."""
    return [mark for _, mark in our_marks_with_nodes(item)]


def our_marks_with_nodes(item: pytest.Item) -> list[tuple[Any, pytest.Mark]]:
    """Return the marks of ``item`` that may be ours, the closest first: also those removed since they were read."""
    found = [(node, mark) for node, mark in item.iter_markers_with_node() if _may_be_ours(mark, item)]
    at, read = len(found), item.stash.get(READ, ())
    for node, mark in reversed(read):
        at = next((index for index, one in enumerate(found) if one[1] is mark), at)
        if at == len(found) or found[at][1] is not mark:
            found.insert(at, (node, mark))
    return found


def _may_be_ours(mark: pytest.Mark, item: pytest.Item) -> bool:
    """Return whether a mark has one of our names, or limits a metric under a name that is nearly one, and nobody's."""
    if mark.name in MARKS or METRICS.keys().isdisjoint(mark.kwargs):
        return mark.name in MARKS
    from difflib import get_close_matches

    letters = re.sub("[^a-z]", "", mark.name.lower())
    is_close = get_close_matches(letters, MARKS, cutoff=0.8)
    return bool(is_close) and mark.name not in item.config.stash[SESSION].registered_marks


def marks_since(
    before: list[pytest.Mark], item: pytest.Item, following: pytest.Item | None
) -> list[tuple[Any, pytest.Mark]]:
    """Return the marks of ``item`` that may be ours and were not there ``before``, with their nodes.

    Those of a class or a module that holds the ``following`` test too are for that one.
    """
    found = [pair for pair in our_marks_with_nodes(item) if not any(pair[1] is mark for mark in before)]
    shared = following.listchain() if found and following is not None else ()
    return [(node, mark) for node, mark in found if node not in shared]
