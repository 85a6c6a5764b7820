"""What autograd keeps between forward and backward, derived by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pytest_modelbudget import measure
from pytest_modelbudget.counting.measuring import force_real_run


def chain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = chain()

    def forward(self, x: torch.Tensor) -> Any:
        return checkpoint(self.net, x, use_reentrant=False)


class DoubleNorm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.requires_grad_() * 2).pow(2).exp()


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(8, 32).requires_grad_(False), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.body(x).relu())


CASES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    # The input, for the weight of the first layer, and the result of the ReLU, once for itself and the next layer.
    "chain": (chain, 4 * 8 * 4 + 4 * 32 * 4),
    # Its input alone: what lies between is computed again.
    "checkpointed": (Checkpointed, 4 * 8 * 4),
    # Nothing of what needs no gradient: the input of the head alone, which is the result of the ReLU.
    "frozen body": (Frozen, 4 * 32 * 4),
    # pow keeps what it gets, and exp what it gives; the product by a number keeps nothing.
    "element-wise": (DoubleNorm, 2 * 4 * 8 * 4),
    # A norm keeps its input, and the mean and deviation of each of 8 features.
    "norm": (lambda: nn.BatchNorm1d(8), 4 * 8 * 4 + 2 * 8 * 4),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("real", [False, True])
def test_derived_by_hand(name: str, real: bool) -> None:
    build, nbytes = CASES[name]
    for model, given in ((build, {"inputs": (4, 8)}), (build(), {"args": torch.zeros(4, 8)})):
        if real:
            with force_real_run():
                found = measure(model, **given, backward=True, memory=True)
        else:
            found = measure(model, **given, backward=True, memory=True)
        assert found.saved_bytes == nbytes


def test_it_is_measured_where_it_is_asked_for() -> None:
    assert measure(chain, inputs=(4, 8), backward=True).saved_bytes is None
    assert measure(chain, inputs=(4, 8), memory=True).saved_bytes is None
    assert measure(chain, backward=True, memory=True).saved_bytes is None


def test_a_backward_that_costs_as_much_as_without() -> None:
    plain, kept = (
        measure(chain, inputs=(4, 8), backward=True),
        measure(chain, inputs=(4, 8), backward=True, memory=True),
    )
    assert (plain.training_macs, plain.modules) == (kept.training_macs, kept.modules)
