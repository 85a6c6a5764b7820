"""What is wrong with the run as a whole, reported as failed items: screen, JUnit and exit status agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from pytest_modelbudget.budgets import BudgetError, Place, Row, conflicts, gather
from pytest_modelbudget.reports.message import contradiction
from pytest_modelbudget.session import Session
from pytest_modelbudget.session.places import raise_at


def report_gates(session: Session) -> None:
    """Report every gate that this run does not pass."""
    for name, place, message in _failures(session):
        excinfo = _excinfo(BudgetError(message), place, session.config)
        phases: tuple[Literal["call", "teardown"], ...] = ("call", "teardown")
        for when in phases:
            failed = when == "call"
            report = pytest.TestReport(
                nodeid=f"modelbudget::{name}",
                location=("modelbudget", None, name),
                keywords={},
                outcome="failed" if failed else "passed",
                longrepr=excinfo.getrepr(style="value") if failed else None,
                when=when,
            )
            session.reporting_gates = True
            session.config.hook.pytest_runtest_logreport(report=report)
            session.reporting_gates = False


def _failures(session: Session) -> Iterator[tuple[str, Place, str]]:
    for worker in session.lost_workers:
        yield (
            f"lost worker {worker}",
            Place("pyproject.toml"),
            f"worker {worker} was lost, and with it what its tests measured: this run does not show every model",
        )
    for one, other in conflicts(gather(session.verdicts)):
        yield f"name {other.verdict.model}", _place(other), contradiction(one, other)


def _place(row: Row) -> Place:
    return Place(row.tests[0].partition("::")[0])


def _excinfo(error: Exception, place: Place, config: pytest.Config) -> pytest.ExceptionInfo[BaseException]:
    try:
        raise_at(error, place, config, "modelbudget")
    except Exception as raised:
        return pytest.ExceptionInfo.from_exception(raised)
