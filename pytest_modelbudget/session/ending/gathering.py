"""What the process that reports does with the results of the tests: receive them, judge the whole run, and show it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import pytest
from msgspec import structs

from pytest_modelbudget.budgets import BudgetError, Place
from pytest_modelbudget.budgets.config_file import project_name
from pytest_modelbudget.reports.faults import Fault, faults_of_run
from pytest_modelbudget.reports.junit import properties
from pytest_modelbudget.reports.lines import not_measured, notes
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import About, Run, decode, gather
from pytest_modelbudget.session.ending.completeness import incomplete, uncollected
from pytest_modelbudget.session.ending.report_files import tell_github
from pytest_modelbudget.session.files.in_use import lock_path
from pytest_modelbudget.session.files.lock_file import writes
from pytest_modelbudget.session.one_test.source_lines import raise_at
from pytest_modelbudget.session.pytest_private import encoding_of, forget_last_failed, headline, report_of_run_failure
from pytest_modelbudget.session.state import Session


def receive(session: Session, report: pytest.TestReport) -> None:
    """Take what a test found from its last report, and add it to the report as properties for the JUnit file."""
    found = session.tests[report.nodeid] = decode(report.modelbudget)
    if session.config.getini("modelbudget_junit"):
        report.user_properties += properties([result.verdict for result in found.results])


def run_of(session: Session) -> Run:
    """Return everything that the run has found so far.

    Whether every file was collected is looked up only where that decides something: an entry would be stale, in this
    run or with its other shards, or a prune was asked for.
    """
    config, reasons = session.config, dict(incomplete(session))
    run = gather(
        session.tests,
        failed={test: headline(shown) for test, shown in session.failed.items()},
        lost_workers=session.lost_workers,
        internal_errors=session.internal_errors,
        incomplete=reasons,
        left_out=session.collection.left_out,
        table=session.table,
        lock=session.lock,
        accepts=writes(config),
    )
    path = _in_repository(lock_path(config, session.table.baseline)) if session.lock else ""
    run = structs.replace(run, about=_about(config), lock=path)
    # The search reads many folders; any other reason makes the run incomplete already.
    if reasons.keys() <= {"deselected"} and (run.stale or config.getoption("modelbudget_prune")):
        missing = uncollected(session)
        return structs.replace(run, incomplete=(*missing, *run.incomplete), details={**run.details, **missing})
    return run


def _in_repository(path: Path) -> str:
    """Return a path as the repository knows it, or an empty text where the file is in none."""
    root = next((folder for folder in path.resolve().parents if (folder / ".git").exists()), None)
    return path.resolve().relative_to(root).as_posix() if root else ""


def _about(config: pytest.Config) -> About:
    return About(
        project=project_name(config.rootpath / "pyproject.toml"),
        commit=os.environ.get("GITHUB_SHA", ""),
        time=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        torch=_version("torch"),
        plugin=_version("pytest-modelbudget"),
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def write_summary(session: Session, terminal: pytest.TerminalReporter) -> None:
    """Write the models of the run below the failures, and the reports that were asked for."""
    config = session.config
    run, width = run_of(session), config.get_terminal_writer().fullwidth
    encoding = encoding_of(terminal)
    lines = [*summary(run, width, config.get_verbosity(), encoding), *notes(session.notes, width)]
    if lines:
        terminal.write_sep("=", "model budgets")
    for line in lines:
        terminal.write(line.text)
        terminal.write_line(line.status, **({line.colour: True} if line.colour else {}))
    if missing := not_measured(run, width):
        terminal.write_line(missing)
    for annotation in tell_github(config, run):
        terminal.write_line(annotation)


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
        # pytest has just taken it for a test that --lf has to run again.
        forget_last_failed(session.config, report)


def _failures(session: Session, run: Run) -> Iterator[Fault]:
    if session.prune_refused:
        message = f"nothing was removed from the baseline: {session.prune_refused}"
        yield Fault("prune", "", Place("pyproject.toml"), message)
    yield from faults_of_run(run)


def _excinfo(fault: Fault, config: pytest.Config) -> pytest.ExceptionInfo[BaseException]:
    try:
        raise_at(BudgetError(fault.message), fault.place, config, "modelbudget")
    except Exception as raised:
        return pytest.ExceptionInfo.from_exception(raised)
