"""Write the reports that were asked for, and what GitHub shows by itself; the controller alone does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pytest

from pytest_modelbudget.files import check_writable, shown_from, write_whole
from pytest_modelbudget.reports import markdown
from pytest_modelbudget.reports.formats import FORMATS, Format
from pytest_modelbudget.reports.github import workflow_commands
from pytest_modelbudget.reports.html import lacks
from pytest_modelbudget.results import Run
from pytest_modelbudget.session.files.in_use import lock_path
from pytest_modelbudget.session.state import Session

OPTION = "--modelbudget-report"
_SUMMARY_AT_MOST = 1 << 20  # bytes: above, GitHub drops the whole


@dataclass(frozen=True)
class Destination:
    """A report that was asked for: its type, its file, and the function from a run to its text."""

    kind: str
    path: Path
    text_of: Callable[[Run], str]


def destinations(session: Session) -> list[Destination]:
    """Return the reports that were asked for, each with its file.

    Raises pytest.UsageError for a type that does not exist, for a place that cannot be written, and for a file that
    the run reads or writes already.
    """
    config = session.config
    formats, taken = _formats(config), dict(_files_of_the_run(session))
    found: list[Destination] = []
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
        path = config.invocation_params.dir / (name or default)
        try:
            check_writable(path)
        except OSError as error:
            reason = f"{path} cannot be written; name a file, {kind}:FILE ({error.strerror})"
            raise pytest.UsageError(f"{OPTION}={asked_for}: {reason}") from None
        if path.resolve() in taken:
            owner = taken[path.resolve()]
            raise pytest.UsageError(f"{OPTION}={asked_for}: {path} is {owner}; name another file, {kind}:FILE")
        if path.is_file() or not path.exists():  # a device takes as many as it is given
            taken[path.resolve()] = f"that of the {kind} report"
        found.append(Destination(kind, path, text_of))
    return found


def _files_of_the_run(session: Session) -> Iterator[tuple[Path, str]]:
    config, here = session.config, session.config.invocation_params.dir
    yield lock_path(config, session.table.baseline).resolve(), "the baseline"
    yield (here / (config.getoption("modelbudget_config") or config.rootpath / "pyproject.toml")).resolve(), "the table"
    junit = config.getoption("xmlpath", None)
    if junit:
        yield (here / junit).resolve(), "the JUnit file"


def write_reports(config: pytest.Config, reports: Iterable[Destination], run: Run) -> tuple[list[str], bool]:
    """Write the reports; return a note for each, and whether all could be written."""
    notes, all_written = [], True
    for report in reports:
        shown = shown_from(config.invocation_params.dir, report.path)
        try:
            write_whole(report.path, report.text_of(run))
            notes.append(f"{report.kind} report: {shown}")
        except Exception as error:  # of the file, or of another plugin's format
            all_written = False
            notes.append(f"{report.kind} report: {shown} could not be written: {error}")
    return notes, all_written


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
    commands = workflow_commands(run, _below_repository(config))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and (run.models or run.stale or markdown.violations(run)):
        text = markdown.of_run(run)
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                if file.tell() + len(text.encode()) < _SUMMARY_AT_MOST:
                    file.write(text + "\n")
        except OSError as error:  # nobody asked for it: the run goes on
            return [f"GITHUB_STEP_SUMMARY could not be written: {error}", *commands]
    return commands


def _below_repository(config: pytest.Config) -> str:
    """Return rootdir as GitHub knows it: relative to the repository."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return ""
    relative = shown_from(Path(workspace), config.rootpath)
    return "" if relative == "." or relative.startswith("..") or Path(relative).is_absolute() else relative
