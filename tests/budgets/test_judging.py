"""Verdicts: which problems a measurement has under a budget, and which of them are errors."""

from __future__ import annotations

import pytest

from pytest_modelbudget.budgets import Budget, Limit, Place, Problem, Table, judge
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost

HERE = Place("here")
UNKNOWN = (OperatorCost("ns::op", "layer", 2, 0), OperatorCost("ns::op", "", 1, 0))


def limit(value: int) -> Limit:
    return Limit(value, f"{value:,}", HERE)


def measured(macs: int | None = 100, **more: object) -> Measurement:
    tree = ModuleCost("", "Net", 1, Costs(10), Costs(10))
    flops = None if macs is None else 2 * macs
    return Measurement("net", 10, 10, 40, tree, macs, flops, named=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("budget", "problems"),
    [
        (Budget(), []),
        (Budget({"macs": limit(100)}), []),
        (Budget({"macs": limit(99)}), [("over", "error")]),
        (Budget({}, {"macs": limit(100)}), []),
        (Budget({"macs": limit(100)}, {"macs": limit(99)}), [("warned", "warning")]),
        (Budget({"macs": limit(50)}, {"macs": limit(40)}), [("over", "error")]),
        (Budget({"macs": limit(50)}, {"params": limit(9)}), [("over", "error"), ("warned", "warning")]),
        (Budget({"training_macs": limit(1)}), [("not_measured", "error")]),
        (Budget({}, {"training_macs": limit(1)}), [("not_measured", "error")]),
    ],
)
def test_problems(budget: Budget, problems: list[tuple[str, str]]) -> None:
    verdict = judge(measured(), budget)
    assert [(problem.kind, problem.severity) for problem in verdict.problems] == problems
    assert bool(verdict.errors) == any(severity == "error" for _, severity in problems)
    assert verdict.budgeted == bool(budget)


def test_a_problem_has_the_parts_of_its_sentence() -> None:
    (problem,) = judge(measured(), Budget({"macs": limit(99)})).problems
    assert problem == Problem("over", "error", HERE, "macs", 100, limit(99))


@pytest.mark.parametrize(("policy", "severity"), [("error", "error"), ("warn", "warning")])
def test_an_unknown_operator_is_a_problem_of_its_own(policy: str, severity: str) -> None:
    verdict = judge(measured(unknown=UNKNOWN), Budget({"macs": limit(100)}), Table(unknown_ops=policy))  # type: ignore[arg-type]
    assert [(problem.kind, problem.severity) for problem in verdict.problems] == [("unknown_operators", severity)]
    assert verdict.unknown == UNKNOWN


def test_an_excess_comes_before_an_unknown_operator() -> None:
    verdict = judge(measured(unknown=UNKNOWN), Budget({"macs": limit(99)}))
    assert [problem.kind for problem in verdict.problems] == ["over", "unknown_operators"]


@pytest.mark.parametrize(("policy", "severities"), [("report", []), ("warn", ["warning"]), ("error", ["error"])])
def test_a_model_without_a_budget(policy: str, severities: list[str]) -> None:
    verdict = judge(measured(), Budget(), Table(unbudgeted=policy))  # type: ignore[arg-type]
    assert [problem.severity for problem in verdict.problems] == severities


def test_a_limit_on_what_was_not_measured_names_the_limit() -> None:
    (problem,) = judge(measured(macs=None), Budget({"macs": limit(1)})).problems
    assert problem == Problem("not_measured", "error", HERE, "macs", None, limit(1))
