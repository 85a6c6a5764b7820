"""Write the reports that were asked for, and what GitHub shows by itself; the controller alone does."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

import pytest

from pytest_modelbudget.reports import markdown
from pytest_modelbudget.reports.formats import FORMATS
from pytest_modelbudget.reports.github import workflow_commands
from pytest_modelbudget.reports.html import lacks
from pytest_modelbudget.results import Run

OPTION = "--modelbudget-report"
_SUMMARY_AT_MOST = 1 << 20  # bytes: above, GitHub drops the whole


def destinations(config: pytest.Config) -> list[tuple[str, Path]]:
    """Return the types and files of the reports that were asked for.

    Raises pytest.UsageError for a type that does not exist, and for a place that cannot be written.
    """
    found = []
    for asked_for in config.getoption("modelbudget_report"):
        kind, _, name = asked_for.partition(":")
        if kind not in FORMATS:
            meant = get_close_matches(kind, FORMATS, n=1)
            hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(FORMATS)}"
            raise pytest.UsageError(f"{OPTION}={asked_for}: no such type of report; {hint}")
        lacking = lacks() if kind == "html" else None
        if lacking:
            raise pytest.UsageError(f"{OPTION}={asked_for}: {lacking}")
        path = config.invocation_params.dir / (name or FORMATS[kind][0])
        if path.is_dir() or any(parent.exists() and not parent.is_dir() for parent in path.parents):
            raise pytest.UsageError(f"{OPTION}={asked_for}: {path} cannot be written; name a file, {kind}:FILE")
        found.append((kind, path))
    return found


def write_reports(config: pytest.Config, run: Run) -> list[str]:
    """Write the reports, and return a note for each."""
    notes = []
    for kind, path in destinations(config):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(FORMATS[kind][1](run), encoding="utf-8")
        temporary.replace(path)
        notes.append(f"{kind} report: {os.path.relpath(path, config.invocation_params.dir)}")
    return notes


def tell_github(config: pytest.Config, run: Run) -> list[str]:
    """Write the summary of the step, and return the annotations for the log, if this is a workflow of GitHub."""
    if config.getoption("modelbudget_github") == "off" or os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and (run.models or run.stale or run.lost_workers):
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
