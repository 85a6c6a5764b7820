"""The message of a failure: which model each part of it is about."""

from __future__ import annotations

from pytest_modelbudget.budgets import Budget, Limit, Place, judge
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost, TensorSpec
from pytest_modelbudget.reports.message import failure

HERE = Place("test_models.py", 7, "model_budget()")


def measured(rows: int, name: str = "net", unknown: tuple[OperatorCost, ...] = ()) -> Measurement:
    own = Costs(10, 10, 100 * rows, 200 * rows, weight_bytes=40)
    inputs = (TensorSpec("args[0]", (rows, 8), "float32"),)
    return Measurement(
        name, 10, 10, 40, ModuleCost("", "Net", 1, own, own), 100 * rows, 200 * rows, inputs=inputs, unknown=unknown
    )


def message(*found: Measurement) -> list[str]:
    budget = Budget({"macs": Limit(50, "50", HERE)})
    return failure((judge(one, budget), one, ()) for one in found).splitlines()


def test_each_of_several_models_is_named_where_its_numbers_stand() -> None:
    lines = message(measured(1), measured(2), measured(2), measured(1, "other"))
    assert lines[0].startswith("net (1x8): macs 100 > 50 (+100%); net (2x8): macs 200 > 50 (+300.0%); other: macs")
    assert [line.split("  ")[1] for line in lines if "value" in line] == ["net (1x8)", "net (2x8)", "other"]
    assert [line for line in message(measured(1), measured(1)) if "value" in line] == ["        value  limit"]


def test_a_lower_bound_that_is_over_is_one_all_the_same() -> None:
    (row,) = [line for line in message(measured(1, unknown=(OperatorCost("ns::op", "", 1, 0),))) if "MACs  " in line]
    assert row.split("  ")[1:3] == ["MACs", ">= 100"]


def test_what_is_wrong_with_a_model_at_every_size_is_said_once() -> None:
    unknown = (OperatorCost("ns::op", "", 1, 0),)
    lines = message(measured(1, unknown=unknown), measured(2, unknown=unknown))
    assert lines[-3:] == [
        "net: lower bound: ns::op has no formula",
        "  ran: ns::op in net (1 call)",
        '  register one: @pytest_modelbudget.formula("ns::op")',
    ]
