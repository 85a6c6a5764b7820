"""Changes that only follow from another, and those that seem to."""

from __future__ import annotations

import pytest

from pytest_modelbudget.budgets import Budget, Place, judge
from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.judging import Baseline
from pytest_modelbudget.budgets.status import echoes, status
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost

HERE = Place("here")


def measured(**costs: int) -> Measurement:
    own = Costs(**costs)
    tree = ModuleCost("", "Net", 1, own, own)
    return Measurement("net", modules=tree, named=True, **costs)  # type: ignore[arg-type]


def test_an_echo_that_fails_is_told_where_what_it_follows_may_grow() -> None:
    before = {"params": 100, "trainable_params": 100, "weight_bytes": 400}
    grown = measured(params=110, trainable_params=110, weight_bytes=440)
    assert status(judge(grown, Budget(), None, Baseline(before))).text == "GREW params 10.0%"
    may_grow = Budget(growths={"params": parse_growth("10%", HERE)})
    found = status(judge(grown, may_grow, None, Baseline(before)))
    assert found.text == "GREW trainable params 10.0%, weight bytes 10.0%"


@pytest.mark.parametrize(
    ("before", "after", "is_echo"),
    [
        ((100, 400), (110, 440), True),
        ((100, 464), (110, 504), True),  # buffers
        ((0, 0), (10, 40), True),
        ((10, 40), (0, 0), True),
        ((100, 400), (300, 600), False),  # half as many bytes each, and by chance one byte more for each param
        ((100, 400), (100, 200), False),
        ((100, 400), (110, 450), False),
        ((100, 100), (110, 110), True),
    ],
)
def test_bytes_follow_from_params_where_the_type_of_weights_stays(
    before: tuple[int, int], after: tuple[int, int], is_echo: bool
) -> None:
    old, new = (dict(zip(("params", "weight_bytes"), values, strict=True)) for values in (before, after))
    assert ("weight_bytes" in echoes(old, new)) is is_echo
