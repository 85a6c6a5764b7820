"""Annotations of a workflow of GitHub Actions: lines of the log that GitHub shows beside the code."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelbudget.budgets import Place
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.faults import faults
from pytest_modelbudget.reports.lines import not_measured
from pytest_modelbudget.reports.message import remedies
from pytest_modelbudget.reports.wording import numbers, value_and_limit
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.standings import Standing, standings

_SHOWN = 10
"""GitHub shows no more of a kind for each step."""


def workflow_commands(run: Run, folder: str = "") -> list[str]:
    """Return the workflow commands for what is wrong with a run; ``folder`` is rootdir below the repository.

    They stand on the line that declares the limit, or at the test that measured.
    """
    found = [*_errors(run, folder)]
    if len(found) > _SHOWN:
        found[_SHOWN - 1 :] = [_command("error", None, "", "model budgets", f"+ {len(found) - _SHOWN + 1} more")]
    return found + ([f"::notice title=model budgets::{_data(line)}"] if (line := not_measured(run)) else [])


def _errors(run: Run, folder: str) -> Iterator[str]:
    for one in standings(run):
        if one.status.level == "error" or one.status.kind == "warned":
            kind = "error" if one.fails else "warning"
            yield _command(kind, place_of(one), folder, one.name, "\n".join(said(one)))
    for fault in faults(run):
        yield _command("error", fault.place, folder, fault.name, fault.message)


def place_of(one: Standing) -> Place:
    """Return the line that matters: where the rule stands, or the file of the test."""
    assert one.model is not None
    return one.place or Place(one.model.tests[0].partition("::")[0])


def said(one: Standing) -> Iterator[str]:
    """Yield what there is to say of a model that is not as it should be: status, values, and why."""
    assert one.model is not None
    yield one.status.text
    for found in one.excesses:
        before = numbers(found.metric, found.value, found.limit, found.before)[2]
        yield f"{found.label} {value_and_limit(found)}{f', {before} before' if before else ''}"
    yield from why(one.causes)
    for text in remedies(one.verdict, one.model.measurement):
        first, *further = text.splitlines()
        yield "\n".join([*([] if first == one.status.text else [first]), *further])


def _command(kind: str, place: Place | None, folder: str, title: str, message: str) -> str:
    where = ""
    if place is not None:
        path = f"{folder}/{place.path}" if folder else place.path
        where = f"file={_property(path)}," + (f"line={place.line}," if place.line else "")
    return f"::{kind} {where}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
