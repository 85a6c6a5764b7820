"""Weights that a forward gives other data or another shape: each counts as it is when it is used, in later models too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pytest_modelbudget.counting import force_real_run, measure


def assigned(weight: Any) -> None:
    weight.data = weight.data[:4].clone()


def set_to_a_part(weight: Any) -> None:
    with torch.no_grad():
        weight.set_(weight.detach()[:4].clone())


def swapped(weight: Any) -> None:
    torch.utils.swap_tensors(weight, nn.Parameter(weight.detach()[:4].clone()))


class Shrinks(nn.Module):
    def __init__(self, shrink: Callable[[Any], None]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 23))
        self.shrink = shrink

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shrink(self.weight)
        return F.linear(x, self.weight)


@pytest.mark.parametrize("shrink", [assigned, set_to_a_part, swapped])
def test_a_weight_counts_as_it_is_and_poisons_no_later_model(shrink: Callable[[Any], None]) -> None:
    x = torch.randn(3, 23)
    assert measure(Shrinks(shrink), x).macs == 3 * 4 * 23
    assert measure(nn.Linear(23, 32, bias=False), x).macs == 3 * 32 * 23


def test_a_weight_that_is_put_back_by_the_forward() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(20, 32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            own = self.weight.data
            self.weight.data = own[:, :4].contiguous()
            y = x @ self.weight
            self.weight.data = own
            return y

    assert measure(Reads(), torch.randn(3, 20)).macs == 3 * 20 * 4
    assert measure(Reads, torch.randn(3, 20)).macs == 3 * 20 * 4


@pytest.mark.parametrize("backward", [False, True])
def test_a_buffer_that_is_resized(backward: bool) -> None:
    class Cache(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.zeros(1, 20))
            self.linear = nn.Linear(20, 20)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.cache.resize_(0)
            torch.mul(x.detach(), 2, out=self.cache)
            return F.linear(self.cache, self.linear.weight)

    model = Cache()
    for _ in range(2):
        assert measure(model, torch.randn(3, 20), backward=backward).macs == 3 * 20 * 20
        assert model.cache.shape == (1, 20)


def test_weights_that_are_transposed_in_place() -> None:
    class Turns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(20, 32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.weight.t_()
            return F.linear(x, self.weight)

    model = Turns()
    with force_real_run():
        assert measure(model, torch.randn(3, 20)).macs == 3 * 20 * 32
    assert measure(model, torch.randn(3, 20)).macs == 3 * 20 * 32
    assert model.weight.shape == (20, 32)
