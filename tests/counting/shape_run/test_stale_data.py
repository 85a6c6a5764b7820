"""Real tensors that a run writes unknown values into have stale data, which no later real call may meet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure
from pytest_modelbudget.measurement import MeasurementError

from .model import Model, rows

ONE = 3 * 4 * 4


def ordered() -> torch.Tensor:
    order = torch.empty(4, dtype=torch.long)
    order.copy_(torch.randperm(4))
    return order.double()


MADE: dict[str, Callable[[], torch.Tensor]] = {
    "normal_": lambda: torch.zeros(4, 4).normal_(),
    "copy_": ordered,
    "random_": lambda: torch.arange(1, 5).random_(1, 9),
    "orthogonal_": lambda: nn.init.orthogonal_(torch.zeros(4, 4)),
    "view": lambda: half_uniform(torch.zeros(4, 4)),
    "uninitialized": lambda: torch.empty(4, dtype=torch.long) * 0 + 3,
    "of tensor()": lambda: torch.tensor([0.0, 0.0]).uniform_(1, 2),
}


def half_uniform(table: torch.Tensor) -> torch.Tensor:
    table[:2].uniform_(1, 2)
    return table


@pytest.mark.parametrize("name", MADE)
def test_cached_functions_are_called_again(name: str) -> None:
    check_cached_function(name, as_factory=False, when="forward")


@pytest.mark.parametrize("name", ["normal_", "copy_"])
@pytest.mark.parametrize("when", ["forward", "init"])
def test_cached_functions_of_factories_are_called_again(name: str, when: str) -> None:
    check_cached_function(name, as_factory=True, when=when)


def check_cached_function(name: str, *, as_factory: bool, when: str) -> None:
    @functools.lru_cache
    def made() -> torch.Tensor:
        return MADE[name]()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.table = made() if when == "init" else None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) * made().sum()

    given: Any = Net if as_factory else Net()
    made.cache_clear()
    assert measure(given, rows(3)).macs == ONE
    torch.manual_seed(1)
    found = made()
    torch.manual_seed(1)
    assert torch.equal(found, MADE[name]())
    assert found.any()


@pytest.mark.parametrize("name", ["normal_", "random_", "view"])
def test_other_caches_are_named(name: str) -> None:
    module: dict[str, Any] = {"CACHE": {}, "__name__": "caching"}
    exec("", module)  # which makes it look like the globals of a module

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        if "table" not in module["CACHE"]:
            module["CACHE"]["table"] = MADE[name]()
        return self.linear(x)

    with pytest.raises(MeasurementError, match=r"values are not known outlived.*held by the global caching\.CACHE"):
        measure(Model(forward), rows(3))


def test_known_values_may_be_cached() -> None:
    cache = {}

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        table = cache["table"] = torch.empty(4, dtype=torch.long)
        table.fill_(3)
        return self.linear(x)

    assert measure(Model(forward), rows(3)).run == "shape"
    assert cache["table"].tolist() == [3] * 4


def test_tensors_that_existed_before_are_as_they_were() -> None:
    tables = [torch.ones(4), torch.arange(4), torch.zeros(2, 2)]

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        tables[0].normal_()
        tables[0].fill_(7)
        tables[0][:2].copy_(x[0, :2])
        tables[1].random_(5, 9)
        tables[1][0] = 8
        tables[2].t_()[0] += x[0, 0]
        tables[2].zero_()
        return self.linear(x)

    assert measure(Model(forward), rows(3)).macs == ONE
    assert [table.tolist() for table in tables] == [[1] * 4, [0, 1, 2, 3], [[0, 0], [0, 0]]]
