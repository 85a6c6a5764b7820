"""Annotations of a workflow of GitHub Actions: lines of the log that GitHub shows beside the code."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelbudget.budgets import Place, Problem
from pytest_modelbudget.reports.changes import because, telling, telling_excesses
from pytest_modelbudget.reports.faults import failed_tests, faults
from pytest_modelbudget.reports.lines import not_measured
from pytest_modelbudget.reports.wording import compared, excess, no_module, steeper, without_formula
from pytest_modelbudget.results import ModelResult, Run

_SHOWN = 10
"""GitHub shows no more of a kind for each step."""


def workflow_commands(run: Run, folder: str = "") -> list[str]:
    """Return the workflow commands for what is wrong with a run; ``folder`` is rootdir below the repository.

    They stand on the line that declares the limit, or at the test that measured.
    """
    found = [*_errors(run, folder)]
    if len(found) > _SHOWN:
        found[_SHOWN - 1 :] = [_command(None, "", "model budgets", f"+ {len(found) - _SHOWN + 1} more")]
    return found + ([f"::notice title=model budgets::{_data(line)}"] if (line := not_measured(run)) else [])


def _errors(run: Run, folder: str) -> Iterator[str]:
    for model in run.models:
        expected = model.verdict.excusable if model.excused else ()
        for problem in telling_excesses(model.verdict.errors):
            if problem not in expected:
                place = problem.place or Place(model.tests[0].partition("::")[0])
                yield _command(place, folder, f"{model.name}: {problem.kind.replace('_', ' ')}", said(problem, model))
    for fault in (*faults(run), *failed_tests(run)):
        yield _command(fault.place, folder, fault.name, fault.message)


def said(problem: Problem, model: ModelResult) -> str:
    """Return what a problem says, for those who see which model it is about."""
    if problem.kind == "over" and problem.limit is not None:
        value, limit = compared(problem.metric, problem.value, problem.limit)
        return f"{problem.subject} {value} > {limit}, over by {excess(problem)}"
    if problem.kind == "grown":
        why = [because(one) for one in telling(model.differences) if one.metric == problem.metric]
        return "\n".join([f"{problem.subject} grew by {excess(problem)}", *why])
    if problem.kind == "unknown_operators":
        return f"operators without a formula ran: {without_formula(problem.operators, model.name)}"
    if problem.kind == "warned" and problem.limit is not None:
        return f"{problem.subject} is above {problem.limit.text}"
    if problem.kind == "not_measured":
        return f"{problem.subject} is limited and was not measured"
    if problem.kind == "steeper" and problem.scaling is not None:
        return steeper(problem.scaling)
    if problem.kind == "no_module":
        return no_module(problem, model.name)
    return "the model is not in the baseline" if problem.kind == "new" else "no limit applies to the model"


def _command(place: Place | None, folder: str, title: str, message: str) -> str:
    where = ""
    if place is not None:
        path = f"{folder}/{place.path}" if folder else place.path
        where = f"file={_property(path)}," + (f"line={place.line}," if place.line else "")
    return f"::error {where}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
