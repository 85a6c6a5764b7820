"""Linear layers: N rows, ``in`` features, ``out`` features cost N * in * out. Bias adds are free.

Training adds N * in * out for the weight's gradient, if the weight is trainable, and N * in * out for the input's
gradient, if anything upstream (or the input itself) requires grad.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, grad, rand

cases = Family("linear")


@cases.case(lambda: rand(4, 16), macs=4 * 16 * 32, params=16 * 32 + 32, training=2 * 4 * 16 * 32, why="N*in*out; +dW")
def plain() -> nn.Module:
    return nn.Linear(16, 32)


@cases.case(lambda: rand(4, 16), macs=4 * 16 * 32, params=16 * 32, training=2 * 4 * 16 * 32, why="the bias costs none")
def without_bias() -> nn.Module:
    return nn.Linear(16, 32, bias=False)


@cases.case(lambda: grad(4, 16), macs=4 * 16 * 32, params=16 * 32 + 32, training=3 * 4 * 16 * 32, why="+dW, +dX")
def input_requires_grad() -> nn.Module:
    return nn.Linear(16, 32)


@cases.case(lambda: rand(2, 5, 16), macs=2 * 5 * 16 * 8, params=16 * 8 + 8, training=2 * 2 * 5 * 16 * 8, why="N=2*5")
def three_dimensions() -> nn.Module:
    return nn.Linear(16, 8)


@cases.case(
    lambda: rand(2, 3, 4, 5, 6), macs=120 * 6 * 7, params=6 * 7 + 7, training=2 * 120 * 6 * 7, why="N=2*3*4*5=120"
)
def five_dimensions() -> nn.Module:
    return nn.Linear(6, 7)


@cases.case(lambda: rand(16), macs=16 * 32, params=16 * 32 + 32, training=2 * 16 * 32, why="N=1")
def one_dimension() -> nn.Module:
    return nn.Linear(16, 32)


@cases.case(lambda: rand(0, 16), macs=0, params=16 * 32 + 32, training=0, why="N=0")
def empty_batch() -> nn.Module:
    return nn.Linear(16, 32)


@cases.case(lambda: rand(4, 16), macs=4 * 16 * 1, params=17, training=2 * 4 * 16, why="out=1")
def single_output() -> nn.Module:
    return nn.Linear(16, 1)


@cases.case(
    lambda: rand(16, 4).t(), macs=4 * 16 * 8, params=16 * 8 + 8, training=2 * 4 * 16 * 8, why="strides are free"
)
def transposed_input() -> nn.Module:
    return nn.Linear(16, 8)


@cases.case(
    lambda: rand(1, 16).expand(4, 16), macs=4 * 16 * 8, params=16 * 8 + 8, training=2 * 4 * 16 * 8, why="4 rows all run"
)
def expanded_input() -> nn.Module:
    return nn.Linear(16, 8)


@cases.case(
    lambda: rand(4, 16, dtype=torch.float64),
    macs=4 * 16 * 8,
    params=16 * 8 + 8,
    training=2 * 4 * 16 * 8,
    why="the dtype is free",
)
def double_precision() -> nn.Module:
    return nn.Linear(16, 8, dtype=torch.float64)


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    training=4 * (2 * 16 * 32 + 3 * 32 * 8),
    why="first layer: forward, dW; second: forward, dW, dX",
)
def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))


@cases.case(
    lambda: rand(4, 256),
    macs=4 * (256 * 4 + 4 * 256),
    params=2 * 4 * 256,
    training=4 * (2 * 256 * 4 + 3 * 4 * 256),
    why="two factors of rank 4",
)
def low_rank() -> nn.Module:
    return nn.Sequential(nn.Linear(256, 4, bias=False), nn.Linear(4, 256, bias=False))


@cases.case(lambda: rand(4, 16), macs=0, training=0, why="no product")
def identity() -> nn.Module:
    return nn.Identity()


class Scaled(nn.Linear):
    """A subclass with its own forward, which hooks by class miss or miscount."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        once = F.linear(input, 2 * self.weight, self.bias)
        return once + F.linear(input, self.weight)


@cases.case(
    lambda: rand(4, 16),
    macs=2 * 4 * 16 * 8,
    params=16 * 8 + 8,
    training=2 * 2 * 4 * 16 * 8,
    why="the subclass multiplies twice; dW of each",
)
def subclass_with_own_forward() -> nn.Module:
    return Scaled(16, 8)


class Renamed(nn.Linear):
    pass


@cases.case(lambda: rand(4, 16), macs=4 * 16 * 8, params=16 * 8 + 8, training=2 * 4 * 16 * 8, why="N*in*out; +dW")
def subclass_without_forward() -> nn.Module:
    return Renamed(16, 8)


cases.expression(
    "functional", F.linear, (8, 16), args=lambda: rand(4, 16), macs=4 * 16 * 8, training=2 * 4 * 16 * 8, why="N*in*out"
)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(16, 8)
        self.heads = nn.ModuleList([nn.Linear(8, 3), nn.Linear(8, 5)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.stem(x)
        return tuple(head(x) for head in self.heads)


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 8 + 8 * 3 + 8 * 5),
    params=16 * 8 + 8 + 8 * 3 + 3 + 8 * 5 + 5,
    training=4 * (2 * 16 * 8 + 3 * 8 * 3 + 3 * 8 * 5),
    why="both outputs are summed for the backward",
)
def two_outputs() -> nn.Module:
    return Branches()


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.below, self.above = nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.above(self.below(x).detach())


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 8 + 8 * 3),
    params=16 * 8 + 8 + 8 * 3 + 3,
    training=4 * (16 * 8 + 2 * 8 * 3),
    why="no gradient passes detach: below only forward, above forward and dW",
)
def detached() -> nn.Module:
    return Detached()


def frozen(model: nn.Sequential, *names: str) -> nn.Module:
    for name in names:
        model.get_parameter(name).requires_grad_(False)
    return model


def pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 8))


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    trainable=32 * 8 + 8,
    training=4 * (16 * 32 + 2 * 32 * 8),
    why="first frozen: only forward; second: forward, dW, and no dX because nothing upstream is trainable",
)
def first_frozen() -> nn.Module:
    return frozen(pair(), "0.weight", "0.bias")


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    trainable=16 * 32 + 32,
    training=4 * (2 * 16 * 32 + 2 * 32 * 8),
    why="first: forward, dW; second frozen: forward, dX for the first",
)
def last_frozen() -> nn.Module:
    return frozen(pair(), "1.weight", "1.bias")


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    trainable=0,
    training=4 * (16 * 32 + 32 * 8),
    why="nothing requires grad: training is the forward",
)
def all_frozen() -> nn.Module:
    return frozen(pair(), "0.weight", "0.bias", "1.weight", "1.bias")


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    trainable=32 + 8,
    training=4 * (16 * 32 + 2 * 32 * 8),
    why="only biases train: the second layer's dX reaches the first bias, no dW anywhere",
)
def only_biases_trainable() -> nn.Module:
    return frozen(pair(), "0.weight", "1.weight")
