"""What is wrong with a model, and where in it the cost stands: the lines that a reviewer reads first."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_modelbudget.budgets import Problem
from pytest_modelbudget.measurement import percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.outline import heaviest
from pytest_modelbudget.reports.changes import because, telling_excesses
from pytest_modelbudget.reports.github import said
from pytest_modelbudget.reports.html.nodes import decoded
from pytest_modelbudget.reports.wording import WITHOUT_INPUTS
from pytest_modelbudget.results import ModelResult

_SHOWN = 3


def problems(model: ModelResult) -> Iterator[tuple[str, str]]:
    """Yield what each problem of a model says, and how to go on or where it was declared."""
    for problem in telling_excesses(model.verdict.problems):
        yield said(problem, model).partition("\n")[0], _remedy(problem, model)


def where(model: ModelResult) -> Iterator[str]:
    """Yield for each metric that is too high what grew, or which layers cost most."""
    changed = {difference.metric: difference for difference in model.differences}
    over = [
        problem for problem in telling_excesses(model.verdict.problems) if problem.is_excess and problem.module is None
    ]
    for metric in dict.fromkeys(problem.metric for problem in over):
        if metric in changed:
            yield f"Since the baseline: {because(changed[metric])}"
        else:
            yield f"{METRICS[metric].label} are mostly in {_heaviest(model, metric)}"


def _heaviest(model: ModelResult, metric: str) -> str:
    """Return the layers that cost most: those alike are one, with the share of all of them."""
    groups = heaviest(model.measurement.modules, metric)
    total = sum(group.cost for group in groups)
    texts = [
        f"{group.name or 'the model itself'} {group.cls}{f' x{len(group.names):,}' if len(group.names) > 1 else ''} "
        f"({percent(group.cost, total)})"
        for group in groups[:_SHOWN]
    ]
    rest = sum(group.cost for group in groups[_SHOWN:])
    return ", ".join(texts) + (f"; the other layers: {percent(rest, total)}" if rest else "")


def _remedy(problem: Problem, model: ModelResult) -> str:
    if problem.kind == "not_measured":
        if decoded(model).modules.own.macs is None:
            return WITHOUT_INPUTS.capitalize()
        return "Observing runs no backward pass: use the model_budget fixture"
    if problem.kind == "unknown_operators":
        wanted = ", ".join(sorted({f'@pytest_modelbudget.formula("{one.name}")' for one in problem.operators}))
        return f"The numbers are a lower bound. Register a formula: {wanted}"
    if problem.kind == "new":
        return "Accept it: pytest --modelbudget-update"
    if problem.kind == "unbudgeted":
        return f"Give the call or mark a limit, or add [tool.modelbudget.models.{model.name}]"
    if problem.kind == "grown":
        return "Accept it, if it is meant: pytest --modelbudget-update"
    return f"Declared in {problem.place}" if problem.place else ""
