"""Limits for parts of a model: which modules are meant, and what is said where none is."""

from __future__ import annotations

import pytest
import torch
from msgspec import structs
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.budgets import Baseline, Limit, Place, Rules, Table, Verdict, budget_for, judge
from pytest_modelbudget.budgets.config import table_from
from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.parts import matches

PLACE = Place("pyproject.toml", 1)


def measured() -> Measurement:
    block = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))
    model = nn.Sequential()
    model.add_module("encoder", nn.ModuleList([block, nn.Sequential(nn.Linear(4, 4))]))
    model.add_module("head", nn.Linear(4, 2))
    model.forward = lambda x: model.head(model.encoder[1](model.encoder[0](x)))  # type: ignore[method-assign,union-attr,index,operator]
    return measure(model, torch.zeros(3, 4), name="net")


NET = measured()


def verdict(module: str, baseline: Baseline | None = None, **limits: int) -> Verdict:
    rules = Rules({metric: Limit(value, str(value), PLACE) for metric, value in limits.items()}, module=module)
    return judge(NET, budget_for(Table(), ("net",), [rules]), Table(), baseline)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("layer4", "layer4", True),
        ("layer4", "layer*", True),
        ("layer4.0", "layer*", False),
        ("encoder.layer.3", "encoder.layer.*", True),
        ("encoder.layer.3.output", "encoder.layer.*", False),
        ("encoder.layer.3.output", "encoder.*.*.output", True),
        ("Layer4", "layer4", False),
        ("", "", True),
        ("a", "", False),
        ("", "*", False),
    ],
)
def test_which_names_a_pattern_means(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


def test_every_module_that_matches_is_held_against_the_limit() -> None:
    # 3 rows: encoder.0 is 3 * (4 * 8 + 8 * 4) = 192, encoder.1 is 3 * 4 * 4 = 48.
    found = verdict("encoder.*", macs=100)
    assert [(check.subject, check.value) for check in found.parts] == [("encoder.0 macs", 192), ("encoder.1 macs", 48)]
    assert [(one.subject, one.kind, one.severity) for one in found.problems] == [("encoder.0 macs", "over", "error")]
    assert found.budgeted


def test_the_empty_name_is_the_model() -> None:
    assert [(one.subject, one.value) for one in verdict("", macs=1).over] == [("the model macs", 192 + 48 + 24)]


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest_names() -> None:
    (problem,) = verdict("heat", macs=1).problems
    assert (problem.kind, problem.severity, problem.module, problem.nearest) == (
        "no_module",
        "error",
        "heat",
        ("head",),
    )


def test_growth_of_a_part() -> None:
    rules = Rules(growths={"macs": parse_growth("10%", PLACE)}, module="head")
    before = {module.name: module.total for module in NET.modules.walk()}
    budget = budget_for(Table(), ("net",), [rules])
    lower = structs.replace(before["head"], macs=20)  # and 24 now: +20%
    base = Baseline({"macs": NET.macs or 0}, modules={**before, "head": lower})
    assert [(one.subject, one.kind) for one in judge(NET, budget, Table(), base).problems] == [("head macs", "grown")]
    assert judge(NET, budget, Table(), structs.replace(base, modules=before)).problems == ()


def test_the_later_rules_for_one_pattern_win() -> None:
    entry = {"modules": {"head": {"macs": 5, "params": 5}}}
    table = table_from({"tool": {"modelbudget": {"models": {"net": entry}}}}, "pyproject.toml", {})
    mark = Rules({"macs": None}, module="head")
    assert budget_for(table, ("net",), [mark]).parts["head"].limits.keys() == {"params"}
    assert budget_for(table, ("net",), []).limits == {}
