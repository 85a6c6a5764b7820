"""What the process that reports does with the results of the tests: receive them, and show them at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_modelbudget.reports.junit import PREFIX, properties
from pytest_modelbudget.reports.lines import notes
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import Incomplete, Run, decode, gather
from pytest_modelbudget.session.pytest_private import encoding_of, show_as_failed
from pytest_modelbudget.session.reporting import tell_github
from pytest_modelbudget.session.state import Session

TURNED = "The test failed with this, and a hook or a plugin changed its report: a budget cannot be passed that way."


def receive(session: Session, report: pytest.TestReport) -> None:
    """Take what a test found from its report, and add it to the report as properties for the JUnit file."""
    found = decode(report.modelbudget)
    if session.attempts.end(report, found.failure):
        session.failed.add(report.nodeid)
        show_as_failed(report, f"{found.failure}\n\n{TURNED}")
    session.tests[report.nodeid] = found
    if session.config.getini("modelbudget_junit"):
        kept = [one for one in report.user_properties if not _is_ours(one)]
        report.user_properties = [*kept, *properties(result.verdict for result in found.results)]


def _is_ours(user_property: Any) -> bool:
    """Return whether a property has a name of ours; others may append what they like."""
    name = user_property[0] if isinstance(user_property, (list, tuple)) and user_property else None
    return isinstance(name, str) and name.startswith(PREFIX)


def run_of(session: Session) -> Run:
    """Return everything that the run has found so far."""
    return gather(
        session.tests,
        lost_workers=session.lost_workers,
        internal_errors=session.internal_errors,
        incomplete=_incomplete(session),
        left_out=session.collection.left_out,
        table=session.table,
        lock=session.lock,
        accepts=bool(session.config.getoption("modelbudget_update") or session.config.getoption("modelbudget_prune")),
    )


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
    for annotation in tell_github(config, run):
        terminal.write_line(annotation)


def _incomplete(session: Session) -> Iterator[Incomplete]:
    """Yield why this run does not show everything that the project's tests measure."""
    config, collection = session.config, session.collection
    if not session.takes_everything:
        yield "arguments"
    if collection.is_partial or config.getoption("lf", False):
        yield "deselected"
    gave_up = any(found.skipped or test in session.skipped_in_part for test, found in session.tests.items())
    if collection.skipped or gave_up:
        yield "skipped"
    if collection.failed:
        yield "collection failed"
    only_set_up = config.getoption("setuponly", False)
    if len(collection.ended) < collection.collected or not collection.collected or only_set_up:
        yield "stopped"
    if session.lost_workers or session.internal_errors:
        yield "worker lost"
