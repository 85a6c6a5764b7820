"""What is wrong with the run as a whole, reported as failed items: screen, JUnit and exit status agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_modelbudget.budgets import BudgetError, Place
from pytest_modelbudget.reports.message import contradiction, unmeasured_entry
from pytest_modelbudget.results import Run
from pytest_modelbudget.session.controller import TURNED
from pytest_modelbudget.session.places import raise_at
from pytest_modelbudget.session.pytest_private import forget_last_failed, report_of_run_failure
from pytest_modelbudget.session.state import Session


def report_run_failures(session: Session, run: Run, pytest_session: pytest.Session) -> None:
    """Report everything that is wrong with the run as a whole."""
    failed_before = pytest_session.testsfailed
    for number, (name, place, message) in enumerate([*_failures(session, run)], start=1):
        failed = report_of_run_failure(name, _excinfo(BudgetError(message), place, session.config), "call")
        session.reports_a_run_failure = True
        for report in (failed, report_of_run_failure(name, None, "teardown")):
            session.config.hook.pytest_runtest_logreport(report=report)
        session.reports_a_run_failure = False
        forget_last_failed(session.config, failed)
        if pytest_session.testsfailed < failed_before + number:  # a hook has taken this one back too
            pytest_session.testsfailed = failed_before + number


def _failures(session: Session, run: Run) -> Iterator[tuple[str, Place, str]]:
    for worker in run.lost_workers:
        yield (
            f"lost worker {worker}",
            Place("pyproject.toml"),
            f"worker {worker} was lost, and with it what its tests measured: this run does not show every model",
        )
    for number, error in enumerate(run.internal_errors, start=1):
        last = error.rstrip().rpartition("\n")[2]
        yield (
            f"internal error {number}",
            Place("pyproject.toml"),
            f"pytest itself failed in a worker, and with it what its tests measured: {last}",
        )
    for test, failure in session.attempts.hidden.items():
        yield f"hidden {test}", Place(test.partition("::")[0]), f"{failure}\n\n{test}: {TURNED}"
    if session.prune_refused:
        yield (
            "prune",
            Place("pyproject.toml"),
            f"nothing was removed from the baseline: {session.prune_refused}",
        )
    for stale in run.missing:
        yield f"stale {stale.name}", stale.place or Place("pyproject.toml"), unmeasured_entry(stale)
    for one, other in run.contradictions:
        yield f"name {other.name}", Place(other.tests[0].partition("::")[0]), contradiction(one, other)


def _excinfo(error: Exception, place: Place, config: pytest.Config) -> pytest.ExceptionInfo[BaseException]:
    try:
        raise_at(error, place, config, "modelbudget")
    except Exception as raised:
        return pytest.ExceptionInfo.from_exception(raised)
