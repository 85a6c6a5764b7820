"""Weights that are not just weights: normalised, pruned, adapted, tied, lazy, viewed, or no parameters at all."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from ..case import Family, ints, rand

cases = Family("weights")

LINEAR = 4 * 16 * 8  # four rows through Linear(16, 8)
PARAMS = 16 * 8 + 8
LAZY: dict[str, Any] = {
    "needs_values": "a lazy module makes its weights at the first call",
    "varies": {"meta": "a lazy module makes its weights at the first call, for real"},
}
POWER = {"mode": "only training mode runs the power iteration"}


def build_plain() -> nn.Linear:
    return nn.Linear(16, 8)


cases.case(
    lambda: rand(4, 16), name="weight_norm", macs=LINEAR, params=PARAMS + 8, training=2 * LINEAR, why="norms are free"
)(lambda: nn.utils.weight_norm(build_plain()))
cases.case(
    lambda: rand(4, 16),
    name="weight_norm_parametrized",
    macs=LINEAR,
    params=PARAMS + 8,
    training=2 * LINEAR,
    why="norms are free; the magnitudes are 8 more parameters",
)(lambda: parametrizations.weight_norm(build_plain()))
cases.case(
    lambda: rand(4, 16),
    name="spectral_norm",
    macs=LINEAR + 2 * 8 * 16 + 8 * 16 + 8,
    params=PARAMS,
    training=2 * LINEAR + 2 * 8 * 16 + 8 * 16 + 8,
    why="one power iteration is two mv, sigma = u . (W v); the backward of sigma is an outer product",
    varies=POWER,
)(lambda: nn.utils.spectral_norm(build_plain()))
cases.case(
    lambda: rand(4, 16),
    name="spectral_norm_in_evaluation",
    macs=LINEAR + 8 * 16 + 8,
    params=PARAMS,
    training=2 * LINEAR + 8 * 16 + 8,
    why="no power iteration in evaluation, sigma alone",
    varies=POWER,
)(lambda: nn.utils.spectral_norm(build_plain()).eval())
cases.case(
    lambda: rand(4, 16),
    name="spectral_norm_parametrized",
    macs=LINEAR + 2 * 8 * 16 + 8 * 16 + 8,
    params=PARAMS,
    training=2 * LINEAR + 2 * 8 * 16 + 8 * 16 + 8,
    why="one power iteration is two mv, sigma = u . (W v)",
    varies=POWER,
)(lambda: parametrizations.spectral_norm(build_plain()))
cases.case(
    lambda: rand(2, 3, 8, 8),
    name="spectral_norm_of_convolution",
    macs=2 * 36 * 4 * 27 + 2 * 2 * 4 * 27 + 4 * 27 + 4,
    params=4 * 27 + 4,
    training=2 * 2 * 36 * 4 * 27 + 2 * 2 * 4 * 27 + 4 * 27 + 4,
    why="two power iterations of 2 * Cout * Cin*9, then sigma",
    varies=POWER,
)(lambda: nn.utils.spectral_norm(nn.Conv2d(3, 4, 3), n_power_iterations=2))


class Symmetric(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.triu() + weight.triu(1).mT


@cases.case(lambda: rand(4, 8), macs=4 * 64, params=64 + 8, training=2 * 4 * 64, why="the parametrisation is sums")
def parametrized_symmetric() -> nn.Module:
    model = nn.Linear(8, 8)
    parametrize.register_parametrization(model, "weight", Symmetric())
    return model


@cases.case(lambda: rand(4, 16), macs=LINEAR, params=PARAMS, training=2 * LINEAR, why="masked weights still multiply")
def pruned() -> nn.Module:
    return prune.l1_unstructured(build_plain(), "weight", amount=0.5)


class LowRankAdapter(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + x @ self.a.t() @ self.b.t()


@cases.case(
    lambda: rand(4, 16),
    macs=LINEAR + 4 * 16 * 2 + 4 * 2 * 8,
    params=PARAMS + 2 * 16 + 8 * 2,
    trainable=2 * 16 + 8 * 2,
    training=LINEAR + 2 * 4 * 16 * 2 + 3 * 4 * 2 * 8,
    why="base: forward; A: dW; B: dW, dX",
)
def low_rank_adapter() -> nn.Module:
    return LowRankAdapter(build_plain())


@cases.case(
    lambda: rand(4, 16),
    macs=2 * LINEAR + 2 * (4 * 16 * 2 + 4 * 2 * 8),
    params=(16 * 8 + 8) + (8 * 16 + 16) + 2 * (2 * 16 + 8 * 2),
    trainable=2 * (2 * 16 + 8 * 2),
    training=(LINEAR + 2 * 4 * 16 * 2 + 3 * 4 * 2 * 8) + (2 * LINEAR + 3 * 4 * 8 * 2 + 3 * 4 * 2 * 16),
    why="the second base: forward and dX; its A: dW, dX; its B: dW, dX",
)
def two_low_rank_adapters() -> nn.Module:
    return nn.Sequential(LowRankAdapter(nn.Linear(16, 8)), nn.ReLU(), LowRankAdapter(nn.Linear(8, 16)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 16)
        self.body = nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(16, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.embedding(ids)))


@cases.case(
    lambda: ints(2, 5, high=10),
    macs=10 * 16 * 16 + 10 * 16 * 10,
    params=10 * 16 + 16 * 16,
    training=3 * (10 * 16 * 16 + 10 * 16 * 10),
    why="the tied weight counts once; the embedding is trainable: dX everywhere",
)
def tied_embedding() -> nn.Module:
    return Tied()


@cases.case(
    lambda: rand(4, 16),
    macs=LINEAR,
    params=PARAMS,
    training=2 * LINEAR,
    why="shapes appear with the first input",
    **LAZY,
)
def lazy_linear() -> nn.Module:
    return nn.LazyLinear(8)


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 36 * 4 * 27 + 2 * 144 * 5,
    params=4 * 27 + 4 + 8 + 144 * 5 + 5,
    training=2 * (2 * 36 * 4 * 27) + 3 * 2 * 144 * 5,
    why="Cin=3 and 4*6*6=144 appear with the first input",
    **LAZY,
)
def lazy_convolution() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))


class RandomFeatures(nn.Module):
    directions: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("directions", torch.randn(16, 32))
        self.constant = torch.randn(32, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((x @ self.directions).cos() @ self.constant.to(x.device))


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8 + 8 * 3),
    params=8 * 3 + 3,
    training=4 * (16 * 32 + 32 * 8 + 2 * 8 * 3),
    why="a buffer and a plain attribute: no params, no gradients",
)
def buffers() -> nn.Module:
    return RandomFeatures()


class Views(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.weight[:, :16], self.weight[:, 16:].t()
        return F.linear(x @ first.view_as(first), second)


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 16 + 16 * 8),
    params=16 * 24,
    training=4 * (2 * 16 * 16 + 3 * 16 * 8),
    why="two slices of one weight",
)
def views() -> nn.Module:
    return Views()


class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ParameterList([nn.Parameter(torch.randn(16, 16)) for _ in range(3)])
        self.ends = nn.ParameterDict({"a": nn.Parameter(torch.randn(16, 8)), "b": nn.Parameter(torch.randn(16, 4))})

    def forward(self, x: torch.Tensor, end: str) -> torch.Tensor:
        for step in self.steps:
            x = (x @ step).relu()
        return x @ self.ends[end]


@cases.case(
    lambda: (rand(4, 16), "b"),
    macs=4 * (3 * 16 * 16 + 16 * 4),
    params=3 * 16 * 16 + 16 * 8 + 16 * 4,
    training=4 * ((2 + 3 + 3) * 16 * 16 + 3 * 16 * 4),
    why="the unused end has params and no MACs",
)
def parameter_containers() -> nn.Module:
    return Containers()


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(16, 8), nn.Linear(16, 8)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_parameter("nothing", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.used(x) * self.scale


@cases.case(lambda: rand(4, 16), macs=LINEAR, params=2 * PARAMS + 1, training=2 * LINEAR, why="what never runs is free")
def unused_layer() -> nn.Module:
    return Unused()
