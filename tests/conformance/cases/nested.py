"""Nested (jagged) tensors: every row that exists costs, no padding does."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, rand

cases = Family("nested")

VALUES: dict[str, Any] = {
    "varies": {"meta": "a nested tensor's lengths are values"},
    "needs_values": "a nested tensor's lengths are values",
}


def jagged(rows: list[torch.Tensor]) -> torch.Tensor:
    return torch.nested.nested_tensor(rows, layout=torch.jagged)


def rows() -> list[torch.Tensor]:
    return [rand(3, 16), rand(5, 16)]


class JaggedInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).values()


@cases.case(
    lambda: (jagged(rows()),),
    macs=8 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    training=8 * (2 * 16 * 32 + 3 * 32 * 8),
    why="3+5 rows",
    **VALUES,
)
def jagged_input() -> nn.Module:
    return JaggedInput()


class JaggedInside(JaggedInput):
    def forward(self, *sequences: torch.Tensor) -> torch.Tensor:
        x = torch.nested.as_nested_tensor(list(sequences), layout=torch.jagged)
        return torch.nested.to_padded_tensor(self.layers(x), 0.0)


@cases.case(
    lambda: tuple(rows()),
    macs=8 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    training=8 * (2 * 16 * 32 + 3 * 32 * 8),
    why="3+5 rows; padded only after the layers",
    **VALUES,
)
def jagged_made_in_forward() -> nn.Module:
    return JaggedInside()


class JaggedAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = [part.contiguous().unflatten(-1, [2, 8]).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)]
        return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(-2).values()


@cases.case(
    lambda: (jagged(rows()),),
    macs=8 * 16 * 48 + 2 * (3 * 3 + 5 * 5) * 16,
    params=16 * 48 + 48,
    why="8 tokens projected; each attends to its own sequence",
    **VALUES,
)
def jagged_attention() -> nn.Module:
    return JaggedAttention()


@cases.case(
    lambda: (torch.nested.nested_tensor(rows()),),
    macs=8 * 16 * 32,
    params=16 * 32 + 32,
    why="the strided layout: 3+5 rows",
    **VALUES,
)
def strided_input() -> nn.Module:
    return nn.Linear(16, 32)
