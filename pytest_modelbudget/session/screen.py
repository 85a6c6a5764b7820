"""Write the summary to the screen that pytest writes to."""

from __future__ import annotations

import pytest

from pytest_modelbudget.budgets import gather
from pytest_modelbudget.reports.summary import summary
from pytest_modelbudget.session import Session


def write_summary(session: Session, terminal: pytest.TerminalReporter) -> None:
    """Write the models of the run, below the failures."""
    config = session.config
    verdicts = [row.verdict for row in gather(session.verdicts)]
    lines = summary(verdicts, config.get_terminal_writer().fullwidth, config.get_verbosity())
    if not lines:
        return
    terminal.write_sep("=", "model budgets")
    for line in lines:
        terminal.write(line.text)
        terminal.write_line(line.status, **({line.colour: True} if line.colour else {}))
