"""Plugins that run a test once more: a budget holds for the last attempt, and fails once."""

from __future__ import annotations

import pytest

from .conftest import EVERY_MODE, Run, with_workers

REPORTS_A_RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for attempt in range(3):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt < 2 and any(report.failed for report in reports)
        for report in reports:
            if again and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if not again:
            return True

def pytest_report_teststatus(report):
    return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
"""
KEEPS_IT_BACK = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(3):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt < 2 and any(report.failed for report in reports)
        for report in reports:
            if not again or not report.failed:
                item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            break
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
NEVER_RUNS_AGAIN = """
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        report.outcome = "rerun"
    return report

def pytest_report_teststatus(report):
    return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
"""
TESTS = """
attempts = []
@pytest.mark.budget(macs="1K")
def test_over(): Net()(X)
def test_over_with_the_fixture(model_budget): model_budget(Net(), X, macs="1K")
@pytest.mark.budget(macs="1K")
def test_without_its_mark(request):
    request.node.own_markers.clear()
    Net()(X)
@pytest.mark.budget(macs="22K")
def test_over_at_first():
    attempts.append(1)
    Net()(torch.zeros(3 - len(attempts), 100))
@pytest.mark.budget(macs="lots")
def test_malformed(): pass
"""


PLUGINS = {"reports a rerun": REPORTS_A_RERUN, "keeps it back": KEEPS_IT_BACK}


@pytest.mark.parametrize(("mode", "plugin"), with_workers(PLUGINS, "keeps it back"))
def test_the_last_attempt_counts_and_fails_once(
    run: Run, pytester: pytest.Pytester, mode: list[str], plugin: str
) -> None:
    pytester.makeconftest(PLUGINS[plugin])
    result = run(*mode, test_net=TESTS)
    outcomes = result.parseoutcomes()
    outcomes.pop("rerun", None)
    assert outcomes == {"failed": 3, "errors": 1, "passed": 1}
    assert "changed its report" not in result.stdout.str()


@EVERY_MODE
def test_a_rerun_that_never_comes_fails_the_run(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    pytester.makeconftest(NEVER_RUNS_AGAIN)
    result = run(*mode, test_net=TESTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.stdout.str().count("a hook or a plugin changed its report") >= 4
    result.stdout.fnmatch_lines_random(["FAILED modelbudget::hidden test_net.py::test_over - BudgetError: *"])
