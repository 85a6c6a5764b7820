"""Operators that take functions: what they run is counted once, and what nobody can see is never silent."""

from __future__ import annotations

import pytest
import torch
from torch import cond, nn  # a bare name: measuring replaces torch.cond, which this one escapes

from pytest_modelbudget.counting import force_real_run, measure, observe


class Chooses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 8)

    def forward(self, x: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
        return cond(wide, lambda y: self.linear(y) + 0, lambda y: self.linear(y) * 2, (x,))


X, WIDE = torch.ones(3, 4), torch.tensor(True)


def test_the_branch_that_runs_is_counted_under_observation() -> None:
    with observe() as seen:
        Chooses()(X, WIDE)
    assert [one.macs for one in seen.measurements] == [3 * 4 * 8]


def test_the_branch_that_runs_is_counted_by_measuring() -> None:
    with force_real_run():
        found = measure(Chooses(), (X, WIDE))
    assert (found.macs, found.complete) == (3 * 4 * 8, True)


def test_a_backward_out_of_sight_makes_the_measurement_a_lower_bound() -> None:
    with force_real_run():
        found = measure(Chooses(), (X, WIDE), backward=True)
    assert [cost.name for cost in found.unknown] == ["higher_order::cond"]


class Scans(nn.Module):
    """Linear(8, 8) on a vector, three times: 3 * 64 MACs; so do the others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scan = pytest.importorskip("torch._higher_order_ops.scan").scan
        return scan(lambda carried, step: (self.layer(carried), carried + step), x[0], x)[0]


class Loops(Scans):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        loop = pytest.importorskip("torch._higher_order_ops").while_loop
        return loop(lambda i, _: i < 3, lambda i, y: (i + 1, self.layer(y)), (torch.tensor(0), x[0]))[1]


class Maps(Scans):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return pytest.importorskip("torch._higher_order_ops.map").map(lambda row: self.layer(row), x)


@pytest.mark.parametrize("kind", [Scans, Loops, Maps])
def test_each_step_of_a_loop_counts(kind: type[nn.Module]) -> None:
    x = torch.zeros(3, 8)
    found = measure(kind(), x)
    assert (found.macs, found.unknown) == (3 * 64, ())
    with observe() as seen:
        kind()(x)
    assert [(one.macs, one.unknown) for one in seen.measurements] == [(3 * 64, ())]
    assert not measure(kind(), x, backward=True).complete
