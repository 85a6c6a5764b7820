"""Convolutions: N * output positions * Cout * Cin/groups * kernel. Padding of every kind counts as input.

Training adds the same again for the weight's gradient and, where something upstream requires grad, for the input's.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, grad, rand

cases = Family("conv")


@cases.case(lambda: rand(2, 3, 20), macs=2 * 18 * 8 * 3 * 3, params=8 * 3 * 3 + 8, training=2 * 2592, why="Lout=20-2")
def one_dimension() -> nn.Module:
    return nn.Conv1d(3, 8, 3)


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 6 * 6 * 16 * 3 * 3 * 3,
    params=16 * 27 + 16,
    training=2 * 2 * 36 * 16 * 27,
    why="N*Hout*Wout*Cout * Cin*kh*kw; +dW",
)
def two_dimensions() -> nn.Module:
    return nn.Conv2d(3, 16, 3)


@cases.case(
    lambda: grad(2, 3, 6, 7, 8),
    macs=2 * (4 * 5 * 6) * 4 * 3 * 27,
    params=4 * 3 * 27 + 4,
    training=3 * 2 * (4 * 5 * 6) * 4 * 3 * 27,
    why="N*Dout*Hout*Wout*Cout * Cin*27; +dW, +dX",
)
def three_dimensions() -> nn.Module:
    return nn.Conv3d(3, 4, 3)


@cases.case(
    lambda: rand(1, 3, 32, 32),
    macs=16 * 16 * 8 * 3 * 49,
    params=8 * 3 * 49,
    training=2 * 16 * 16 * 8 * 3 * 49,
    why="Hout = (32+6-7)//2 + 1 = 16",
)
def stem() -> nn.Module:
    return nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)


@cases.case(
    lambda: rand(1, 4, 9, 11),
    macs=(5 * 4) * 6 * 4 * 15,
    params=6 * 4 * 15 + 6,
    training=2 * (5 * 4) * 6 * 4 * 15,
    why="kernel (3,5): Hout=(9+2-3)//2+1=5, Wout=(11+4-5)//3+1=4",
)
def rectangular() -> nn.Module:
    return nn.Conv2d(4, 6, (3, 5), stride=(2, 3), padding=(1, 2))


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 64 * 4 * 27,
    params=4 * 27 + 4,
    training=2 * 2 * 64 * 4 * 27,
    why="output as input",
)
def same() -> nn.Module:
    return nn.Conv2d(3, 4, 3, padding="same")


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 64 * 4 * 3 * 16,
    params=4 * 48 + 4,
    training=2 * 2 * 64 * 4 * 48,
    why="an even kernel pads one side more",
)
def same_with_even_kernel() -> nn.Module:
    return nn.Conv2d(3, 4, 4, padding="same")


@cases.case(
    lambda: rand(2, 3, 20),
    macs=2 * 20 * 4 * 3 * 3,
    params=4 * 9 + 4,
    training=2 * 2 * 20 * 4 * 9,
    why="dilated kernel of 3 taps over 5 positions",
)
def same_with_dilation() -> nn.Module:
    return nn.Conv1d(3, 4, 3, padding="same", dilation=2)


@cases.case(
    lambda: rand(2, 3, 8, 8), macs=2 * 36 * 4 * 27, params=4 * 27 + 4, training=2 * 2 * 36 * 4 * 27, why="no padding"
)
def valid() -> nn.Module:
    return nn.Conv2d(3, 4, 3, padding="valid")


@cases.case(
    lambda: rand(2, 3, 10, 10),
    macs=2 * 36 * 4 * 27,
    params=4 * 27 + 4,
    training=2 * 2 * 36 * 4 * 27,
    why="Hout = 10 - 2*(3-1) = 6",
)
def dilated() -> nn.Module:
    return nn.Conv2d(3, 4, 3, dilation=2)


@cases.case(
    lambda: grad(2, 8, 8, 8),
    macs=2 * 36 * 12 * (8 // 4) * 9,
    params=12 * 2 * 9 + 12,
    training=3 * 2 * 36 * 12 * 2 * 9,
    why="Cin/groups=2; +dW, +dX, both divided by groups too",
)
def grouped() -> nn.Module:
    return nn.Conv2d(8, 12, 3, groups=4)


@cases.case(
    lambda: grad(2, 8, 8, 8),
    macs=2 * 36 * 8 * 1 * 9,
    params=8 * 9 + 8,
    training=3 * 2 * 36 * 8 * 9,
    why="Cin/groups=1; +dW, +dX",
)
def depthwise() -> nn.Module:
    return nn.Conv2d(8, 8, 3, groups=8)


@cases.case(
    lambda: rand(2, 8, 20),
    macs=2 * 18 * 24 * 1 * 3,
    params=24 * 3 + 24,
    training=2 * 2 * 18 * 24 * 3,
    why="three outputs for each input channel",
)
def depthwise_with_multiplier() -> nn.Module:
    return nn.Conv1d(8, 24, 3, groups=8)


@cases.case(
    lambda: rand(2, 8, 6, 6), macs=2 * 36 * 4 * 8, params=4 * 8 + 4, training=2 * 2 * 36 * 4 * 8, why="a 1x1 kernel"
)
def pointwise() -> nn.Module:
    return nn.Conv2d(8, 4, 1)


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 64 * 8 * 27 + 2 * 64 * 8 * 9 + 2 * 64 * 16 * 8,
    params=8 * 27 + 8 * 9 + 16 * 8,
    training=2 * (2 * 64 * 8 * 27) + 3 * (2 * 64 * 8 * 9 + 2 * 64 * 16 * 8),
    why="stem with dW; depthwise and pointwise with dW, dX",
)
def depthwise_separable_block() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8, affine=False),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 16, 1, bias=False),
    )


Padding = Literal["circular", "reflect", "replicate", "zeros"]


def padded(mode: Padding) -> nn.Module:
    return nn.Conv2d(3, 4, 3, padding=1, padding_mode=mode)


for mode in get_args(Padding):
    name = f"padding_{mode}"
    cases.case(
        lambda: rand(2, 3, 8, 8),
        macs=2 * 64 * 4 * 27,
        params=4 * 27 + 4,
        training=2 * 2 * 64 * 4 * 27,
        why="padding keeps 8x8; +dW",
        name=name,
    )(lambda mode=mode: padded(mode))


@cases.case(lambda: rand(3, 20), macs=18 * 8 * 9, params=8 * 9 + 8, training=2 * 18 * 8 * 9, why="N=1")
def unbatched_1d() -> nn.Module:
    return nn.Conv1d(3, 8, 3)


@cases.case(lambda: rand(3, 8, 8), macs=36 * 8 * 27, params=8 * 27 + 8, training=2 * 36 * 8 * 27, why="N=1")
def unbatched_2d() -> nn.Module:
    return nn.Conv2d(3, 8, 3)


@cases.case(lambda: rand(3, 4, 5, 6), macs=24 * 8 * 81, params=8 * 81 + 8, training=2 * 24 * 8 * 81, why="N=1, 2*3*4")
def unbatched_3d() -> nn.Module:
    return nn.Conv3d(3, 8, 3)


@cases.case(
    lambda: rand(2, 3, 8, 8).to(memory_format=torch.channels_last),
    macs=2 * 36 * 4 * 27,
    params=4 * 27 + 4,
    training=2 * 2 * 36 * 4 * 27,
    why="strides are free",
)
def channels_last() -> nn.Module:
    return nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 36 * 4 * 27 + 2 * 16 * 5 * 36,
    params=4 * 27 + 4 + 5 * 36 + 5,
    trainable=5 * 36 + 5,
    training=2 * 36 * 4 * 27 + 2 * (2 * 16 * 5 * 36),
    why="frozen stem: forward only; then forward and dW",
)
def frozen_stem() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3))
    model[0].requires_grad_(False)
    return model


class Standardised(nn.Conv2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(input, weight, self.bias, self.stride, self.padding)


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 36 * 4 * 27,
    params=4 * 27 + 4,
    training=2 * 2 * 36 * 4 * 27,
    why="as the plain one",
)
def weight_standardised_subclass() -> nn.Module:
    return Standardised(3, 4, 3)


def causal(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv1d(F.pad(x, (4, 0)), w, dilation=2)


cases.expression(
    "functional_causal",
    causal,
    (4, 3, 3),
    args=lambda: rand(2, 3, 20),
    macs=2 * 20 * 4 * 9,
    training=2 * 2 * 20 * 4 * 9,
    why="padding on the left keeps the length; +dW",
)
cases.expression(
    "tbc",
    torch.conv_tbc,
    args=lambda: (rand(20, 2, 3), rand(3, 3, 4), rand(4)),
    macs=18 * 2 * 4 * 3 * 3,
    training=18 * 2 * 4 * 3 * 3,
    why="Tout*N*Cout * Cin*k, time first",
)
