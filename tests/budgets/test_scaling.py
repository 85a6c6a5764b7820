"""How metrics grow with the inputs: exponents against values derived by hand, and what each mistake says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.budgets import Budget, BudgetError, Place, Verdict, judge, judge_scaling, scaling_of_call
from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.scaling import fitted, parse_exponent

PLACE = Place("pyproject.toml", 3)
SIZES = (8, 16, 32)


class Attention(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


def grown(model: nn.Module, declared: object, metric: str = "macs") -> Verdict:
    points = [(size, measure(model, torch.zeros(1, size, 4))) for size in SIZES]
    verdict = judge(points[-1][1], Budget())
    return judge_scaling(verdict, {metric: parse_exponent(declared, PLACE)}, points)


@pytest.mark.parametrize(("exponent", "expected"), [(0, 0.0), (1, 1.0), (1.5, 1.5), (2, 2.0), (3, 3.0)], ids=str)
def test_a_power_law_is_found(exponent: float, expected: float) -> None:
    assert fitted([(size, round(1000 * size**exponent)) for size in (64, 128, 256, 512)]) == expected


@given(st.integers(1, 10**6), st.integers(1, 10**15), st.sampled_from([1, 2, 3]))
def test_integers_of_any_size(size: int, factor: int, exponent: int) -> None:
    assert fitted([(size * n, factor * (size * n) ** exponent) for n in (1, 2, 4, 8)]) == exponent


def test_a_constant_part_makes_it_flatter() -> None:
    # 1000 + n at 100, 200, 400: log-log slopes below 1.
    found = fitted([(n, 1000 + n) for n in (100, 200, 400)])
    assert found is not None
    assert 0 < found < 0.3


def test_zero_everywhere_is_constant_and_zero_somewhere_is_no_power_law() -> None:
    assert fitted([(1, 0), (2, 0)]) == 0.0
    assert fitted([(1, 0), (2, 5)]) is None


def test_attention_is_quadratic_and_a_layer_linear() -> None:
    # Attention: 2 * n * n * 4 MACs; a layer: n * 4 * 4.
    assert grown(Attention(), "quadratic").problems == ()
    (problem,) = grown(Attention(), "linear").problems
    assert (problem.kind, problem.severity, problem.place) == ("steeper", "error", PLACE)
    assert problem.scaling is not None
    assert (problem.scaling.exponent, problem.scaling.points) == (2.0, ((8, 512), (16, 2048), (32, 8192)))
    assert grown(nn.Linear(4, 4), "linear").problems == ()
    assert grown(nn.Linear(4, 4), 0.99).problems != ()
    assert grown(nn.Linear(4, 4), "constant", "params").problems == ()


def test_a_metric_that_was_not_measured_cannot_be_checked() -> None:
    (problem,) = grown(nn.Linear(4, 4), "linear", "training_macs").problems
    assert (problem.kind, problem.metric) == ("not_measured", "training_macs")


@pytest.mark.parametrize("value", ["Linear", "", "1.5", -1, True, None, 1e9, float("nan")])
def test_what_is_no_exponent(value: object) -> None:
    with pytest.raises(MalformedLimit, match="constant, linear, quadratic, cubic, or an exponent"):
        parse_exponent(value, PLACE)


@pytest.mark.parametrize(
    ("inputs", "exponents", "says"),
    [
        ("1x8", {"macs": "linear"}, "give a range of sizes"),
        ("1y8", {"macs": "linear"}, "'1y8' is no input spec"),
        ([], {"macs": "linear"}, "inputs are a spec"),
        ("1x{8,8}", {"macs": "linear"}, "a range has a size twice"),
        ("1x{8,16}", {}, "growth of what"),
        ("1x{8,16}", {"mac": "linear"}, r"mac= at pyproject.toml:3: no such metric. Did you mean macs=\?"),
        ("1x{8,16}", {"macs": "steep"}, "macs = 'steep' at pyproject.toml:3: growth with the inputs is"),
    ],
)
def test_mistakes_of_a_call(inputs: object, exponents: dict[str, object], says: str) -> None:
    with pytest.raises(BudgetError, match=says):
        scaling_of_call(inputs, exponents, PLACE)
