"""The hooks of the plugin, and nothing but hooks.

pytest imports this module at every start, so whatever is not needed by a run without budgets is imported where it is
used.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelbudget import hookspecs
from pytest_modelbudget.metrics import METRICS, needing
from pytest_modelbudget.session.files.in_use import refuse_others
from pytest_modelbudget.session.one_test import (
    GUARD,
    forget,
    is_under_budget,
    read_marks,
    refuse_late_marks,
    watched,
)
from pytest_modelbudget.session.state import SESSION, Session

if TYPE_CHECKING:
    from pytest_modelbudget.session.ending.report_files import Destination
    from pytest_modelbudget.session.one_test.fixture import ModelBudget

_MARKERS = (
    f"budget(*, {', '.join(METRICS)}, model, name, module): limit what the models of this test "
    'cost, as in budget(params="25.6M", macs="4.1G"); None lifts an inherited limit. On a test that uses the '
    f"model_budget fixture the limits are for what the fixture measures ({' and '.join(needing('backward'))} need it); "
    "any other test is observed while it runs.",
    "modelbudget(...): the same as budget, for projects in which another plugin has a mark of that name.",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("modelbudget", "model budgets")
    group.addoption(
        "--modelbudget-config",
        metavar="PATH",
        help="read the [tool.modelbudget] table from this TOML file instead of the pyproject.toml in rootdir",
    )
    group.addoption(
        "--modelbudget-update",
        nargs="?",
        const="all",
        choices=("all", "lower"),
        help="accept what the passing tests measure as the baseline, and write it to the lock file; "
        "with =lower only what has become less",
    )
    group.addoption(
        "--modelbudget-prune",
        action="store_true",
        help="remove from the lock file what a complete run does not measure any more",
    )
    group.addoption(
        "--modelbudget-report",
        action="append",
        default=[],
        metavar="TYPE[:FILE]",
        help="write a report of the run: json (everything), markdown, html, csv, metrics and codequality (GitLab), "
        "benchmark (github-action-benchmark), bmf (Bencher); may be given several times",
    )
    group.addoption(
        "--modelbudget-github",
        choices=("auto", "off"),
        default="auto",
        help="off: no summary and no annotations in a workflow of GitHub Actions",
    )
    parser.addini(
        "modelbudget_junit",
        "write what the models cost into the JUnit file, as testcase properties (default: true)",
        type="bool",
        default=True,
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    session = config.stash[SESSION] = Session.start(config)
    if session.declares_models:
        from pytest_modelbudget.session.one_test.declared_items import collect_declared

        collect_declared(config)
    if session.is_controller:
        config.pluginmanager.register(OnController(session), "modelbudget-controller")


@pytest.fixture
def model_budget(request: pytest.FixtureRequest) -> ModelBudget:
    """Measure a model and hold it against its budget.

    ``model_budget(model, args=(), kwargs=None, *, inputs=None, name=None, backward=False, **limits)`` returns the
    Measurement, or raises BudgetExceeded naming every metric that is over. ``model`` is a module, or a factory of one.
    """
    from pytest_modelbudget.session.one_test.fixture import ModelBudget

    budget = ModelBudget(request.node)
    request.addfinalizer(budget.close)  # noqa: PT021  # a generator would look like a fixture that goes on afterwards
    return budget


def pytest_collectstart(collector: pytest.Collector) -> None:
    if isinstance(collector, pytest.File):
        collector.config.stash[SESSION].collection.files.add(str(collector.path))


def pytest_itemcollected(item: pytest.Item) -> None:
    item.config.stash[SESSION].collection.items.append(item)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    ours, left = session.config.stash[SESSION], {*map(id, session.items)}
    collected = ours.collection.items
    left_out = [item for item in collected if id(item) not in left]
    ours.note_collected(bool(left_out), (item.nodeid for item in left_out if is_under_budget(item)))
    if ours.is_controller:
        refuse_others(session.config, ours.table_data, {item.path.parent for item in collected})


# trylast: the innermost of the wrappers, so that other plugins see what is raised here as they see what a test raises.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    forget(item)  # a rerun starts anew
    with watched(item, "setup"):
        result = yield
        read_marks(item)
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    with watched(item, "call"):
        return (yield)


# tryfirst: the outermost, so that marks which the hooks of other plugins add in teardown are seen too.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    with watched(item, "teardown"):
        result = yield
        refuse_late_marks(item)
    return result


# tryfirst: the outermost, so that pytest has applied an xfail to the report already.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    guard = item.stash.get(GUARD, None)
    if guard is not None:
        guard.report(call, report)
    elif (report.skipped or report.failed) and is_under_budget(item):
        from pytest_modelbudget.results import TestResult, encode

        report.modelbudget = encode(TestResult(skipped=report.skipped))  # type: ignore[attr-defined]  # reports are open
    if report.failed and call.excinfo and call.excinfo.type.__module__.partition(".")[0] == "pytest_modelbudget":
        from pytest_modelbudget.session.pytest_private import say_once

        say_once(report)
    return report


class OnController:
    """The hooks of the process that reports: the only one without xdist, the controller with it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked_for: list[Destination] = []
        self.reports: list[Destination] = []
        if session.config.getoption("modelbudget_report"):
            from pytest_modelbudget.session.ending.report_files import destinations

            self.asked_for = destinations(session)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, object, object]:
        try:
            return (yield)
        except BaseException:  # no collection follows that would remove the reports of an earlier run
            option = self.session.config.option
            if not (option.showfixtures or option.show_fixtures_per_test):
                self.pytest_collection()
            raise

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        if not self.session.config.option.collectonly:  # --fixtures and the like do not come here
            self.reports = self.asked_for
            for report in self.reports:  # what an earlier run has written must not pass for this run's, if it crashes
                if report.path.is_file():
                    report.path.resolve().unlink()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["modelbudget"] = self.session.table_data
        node.workerinput["modelbudget_lock"] = self.session.lock_text

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        config = self.session.config
        folders = {(config.rootpath / nodeid.partition("::")[0]).parent for nodeid in ids}
        refuse_others(config, self.session.table_data, folders)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self.session.lost_workers.append(node.gateway.id)
        self.session.note_collected(*getattr(node, "workeroutput", {}).get("modelbudget_collected", (False, ())))

    def pytest_report_header(self) -> str | None:
        if self.session.table_data is None:
            return None
        from pytest_modelbudget.reports.lines import header

        return header(self.session.table)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.session.internal_errors.append(str(excinfo.value))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.session.collection.failed += [report.nodeid] * report.failed
        self.session.collection.skipped += [report.nodeid] * report.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.session.failed.setdefault(report.nodeid, report.longrepr)
        elif report.skipped and hasattr(report, "context"):  # of a subtest
            self.session.skipped_in_part.add(report.nodeid)
        if hasattr(report, "modelbudget"):
            from pytest_modelbudget.session.ending.gathering import receive

            receive(self.session, report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.session.collection.ended.add(nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            result = yield
        finally:
            self.session.collection.collected = session.testscollected
        if self.session.in_use:
            from pytest_modelbudget.session.ending.gathering import report_run_failures, run_of
            from pytest_modelbudget.session.ending.updating import update_lock

            run = run_of(self.session)
            update_lock(self.session, run)
            report_run_failures(self.session, run)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        # What is wrong with the run is no test: it counts as a failure, and has no letter in the line of progress.
        word = "" if self.session.reports_a_run_failure else "FAILED"
        is_ours = report.nodeid.startswith("modelbudget::")
        return ("failed" if report.failed else "", "", word) if is_ours else None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.session.in_use:
            from pytest_modelbudget.session.ending.gathering import write_summary

            write_summary(self.session, terminalreporter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.session.in_use and self.reports:
            from pytest_modelbudget.session.ending.gathering import run_of
            from pytest_modelbudget.session.ending.report_files import write_reports

            notes, all_written = write_reports(self.session.config, self.reports, run_of(self.session))
            self.session.notes += notes
            if not all_written and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
