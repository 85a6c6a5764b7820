"""What a shape run computes is bounded: results that grow stay shapes, and nothing large is allocated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch

from pytest_modelbudget.counting import measure

from .model import Model, rows

HUGE = 100_000_000

GROWING: list[Callable[[torch.Tensor], Any]] = [
    lambda small: small.repeat(HUGE),
    lambda small: small.tile((HUGE,)),
    lambda small: small.repeat_interleave(HUGE),
    lambda small: small.expand(HUGE // 4, 4).contiguous(),
    lambda small: small.expand(HUGE // 4, 4).clone(),
    lambda small: small.new_zeros(HUGE),
    lambda small: torch.nn.functional.pad(small, (0, HUGE)),
    lambda small: torch.nn.functional.one_hot(small, HUGE),
    lambda small: torch.where(torch.ones(600, 1, 1, dtype=torch.bool), torch.arange(600)[:, None], torch.arange(600)),
    lambda small: torch.addcmul(torch.arange(600)[:, None, None], torch.arange(600)[:, None], torch.arange(600)),
    lambda small: torch.zeros(8, 8, 8, dtype=torch.long)[
        torch.zeros(500, 1, 1, dtype=torch.long),
        torch.zeros(500, 1, dtype=torch.long),
        torch.zeros(500, dtype=torch.long),
    ],
    lambda small: torch.arange(HUGE),
    lambda small: torch.diag_embed(torch.arange(2000).repeat(5)),
]


@pytest.mark.parametrize("grow", GROWING)
def test_results_that_grow_take_no_memory(grow: Callable[[torch.Tensor], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[Any] = []

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        before = process.memory_info().rss
        result = grow(torch.arange(4))
        grown.append(process.memory_info().rss - before)
        del result
        return self.linear(x)

    process = psutil.Process()
    found = measure(Model(forward), rows(3))
    assert (found.run, found.macs) == ("shape", 3 * 4 * 4)
    assert max(grown) < 100 << 20


def test_small_results_are_known() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if int(torch.arange(4).repeat(10).sum()) == 60 else x

    assert measure(Model(forward), rows(3)).macs == 3 * 4 * 4
