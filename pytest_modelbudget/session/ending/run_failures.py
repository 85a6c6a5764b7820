"""What is wrong with the run as a whole, reported as failed items: screen, JUnit and exit status agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_modelbudget.budgets import BudgetError, Place
from pytest_modelbudget.reports.faults import Fault, faults
from pytest_modelbudget.results import Run
from pytest_modelbudget.session.one_test.source_lines import raise_at
from pytest_modelbudget.session.pytest_private import forget_last_failed, report_of_run_failure
from pytest_modelbudget.session.state import Session


def report_run_failures(session: Session, run: Run) -> None:
    """Report everything that is wrong with the run as a whole: each as a failed test, with the phases of a test."""
    for fault in _failures(session, run):
        session.reports_a_run_failure = True
        for when in ("setup", "call", "teardown"):
            report = report_of_run_failure(
                fault.name, _excinfo(fault, session.config) if when == "call" else None, when
            )
            session.config.hook.pytest_runtest_logreport(report=report)
        session.reports_a_run_failure = False
        forget_last_failed(session.config, report)


def _failures(session: Session, run: Run) -> Iterator[Fault]:
    if session.prune_refused:
        message = f"nothing was removed from the baseline: {session.prune_refused}"
        yield Fault("prune", "", Place("pyproject.toml"), message)
    yield from faults(run)


def _excinfo(fault: Fault, config: pytest.Config) -> pytest.ExceptionInfo[BaseException]:
    try:
        raise_at(BudgetError(fault.message), fault.place, config, "modelbudget")
    except Exception as raised:
        return pytest.ExceptionInfo.from_exception(raised)
