"""Write the reports that were asked for, and what GitHub shows by itself; the controller alone does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pytest

from pytest_modelbudget.reports import markdown
from pytest_modelbudget.reports.formats import FORMATS, Format
from pytest_modelbudget.reports.github import workflow_commands
from pytest_modelbudget.reports.html import lacks
from pytest_modelbudget.results import Run

OPTION = "--modelbudget-report"
_SUMMARY_AT_MOST = 1 << 20  # bytes: above, GitHub drops the whole


@dataclass(frozen=True)
class Destination:
    """A report that was asked for: its type, its file, and the function from a run to its text."""

    kind: str
    path: Path
    text_of: Callable[[Run], str]

    def try_out(self) -> None:
        """Make the folder, and a file in it that is not kept; raises OSError where that cannot be done."""
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary.touch()
        self._temporary.unlink()

    def write(self, text: str) -> None:
        """Write the report whole, or not at all."""
        self._temporary.write_text(text, encoding="utf-8", newline="")
        self._temporary.replace(self.path)

    @property
    def _temporary(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{os.getpid()}")


def destinations(config: pytest.Config) -> list[Destination]:
    """Return the reports that were asked for, each with its file.

    Raises pytest.UsageError for a type that does not exist, and for a place that cannot be written.
    """
    formats = _formats(config)
    found = []
    for asked_for in config.getoption("modelbudget_report"):
        kind, _, name = asked_for.partition(":")
        if kind not in formats:
            meant = get_close_matches(kind, formats, n=1)
            hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(formats)}"
            raise pytest.UsageError(f"{OPTION}={asked_for}: no such type of report; {hint}")
        lacking = lacks() if kind == "html" else None
        if lacking:
            raise pytest.UsageError(f"{OPTION}={asked_for}: {lacking}")
        default, text_of = formats[kind]
        destination = Destination(kind, config.invocation_params.dir / (name or default), text_of)
        try:
            destination.try_out()
        except OSError as error:
            reason = f"{destination.path} cannot be written; name a file, {kind}:FILE ({error.strerror})"
            raise pytest.UsageError(f"{OPTION}={asked_for}: {reason}") from None
        found.append(destination)
    return found


def write_reports(config: pytest.Config, run: Run) -> list[str]:
    """Write the reports, and return a note for each."""
    notes = []
    for destination in destinations(config):
        destination.write(destination.text_of(run))
        notes.append(f"{destination.kind} report: {os.path.relpath(destination.path, config.invocation_params.dir)}")
    return notes


def _formats(config: pytest.Config) -> dict[str, Format]:
    """Return all types of reports: those that come with the plugin, and those of other plugins and conftests."""
    formats = dict(FORMATS)
    for more in config.hook.pytest_modelbudget_report_formats():
        twice = sorted(formats.keys() & more.keys())
        if twice:
            raise pytest.UsageError(f"pytest_modelbudget_report_formats: there is a type {twice[0]} already")
        formats.update(more)
    return formats


def tell_github(config: pytest.Config, run: Run) -> list[str]:
    """Write the summary of the step, and return the annotations for the log, if this is a workflow of GitHub."""
    if config.getoption("modelbudget_github") == "off" or os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and (run.models or run.stale or markdown.violations(run)):
        path = Path(summary)
        room = _SUMMARY_AT_MOST - (path.stat().st_size if path.exists() else 0)
        text = markdown.of_run(run)
        if len(text.encode()) < room:
            with path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
    return workflow_commands(run, _below_repository(config))


def _below_repository(config: pytest.Config) -> str:
    """Return rootdir as GitHub knows it: relative to the repository."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return ""
    relative = os.path.relpath(config.rootpath, workspace)
    return "" if relative == "." or relative.startswith("..") else Path(relative).as_posix()
