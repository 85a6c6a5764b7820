"""Graphs of TorchScript that are frozen to kernels, or fork, are counted, or make the measurement a lower bound."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure

LAYER = 4 * 8 * 8  # (4, 8) @ (8, 8)


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="nothing is frozen to kernels of oneDNN")
@pytest.mark.parametrize("around", [lambda inner: inner, Around])
def test_graphs_that_are_optimized_for_inference(around: Any) -> None:
    plain = 36 * 8 * 27 + 36 * 4 * 8  # Hout * Wout * Cout * Cin * kh * kw
    x = torch.ones(1, 3, 8, 8)
    scripted = torch.jit.script(convolutions())
    for module in (scripted, torch.jit.trace(convolutions(), x), torch.jit.freeze(scripted)):
        assert measure(around(module), x).macs == plain
    found = measure(around(torch.jit.optimize_for_inference(scripted)), x)
    assert found.macs == plain or "prim::mkldnn_convolution" in {cost.name for cost in found.unknown}


class Forks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        future = torch.jit.fork(self.l, x)
        out: torch.Tensor = torch.jit.wait(future)
        return out


@pytest.mark.filterwarnings("ignore")
def test_forks() -> None:
    assert measure(Forks(), torch.ones(4, 8)).macs == LAYER
    found = measure(torch.jit.script(Forks()), torch.ones(4, 8))
    assert found.macs == LAYER or not found.complete
