"""Transposed convolutions (N * input positions * Cin * Cout/groups * kernel), unfold, and weights made in forward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, grad, rand

cases = Family("transposed")
others = Family("patches")


@cases.case(
    lambda: grad(2, 8, 5, 5),
    macs=2 * 25 * 8 * 4 * 9,
    params=8 * 4 * 9 + 4,
    training=3 * 2 * 25 * 8 * 4 * 9,
    why="N*Hin*Win*Cin * Cout*kh*kw; +dW, +dX",
)
def plain() -> nn.Module:
    return nn.ConvTranspose2d(8, 4, 3)


@cases.case(
    lambda: rand(2, 8, 5, 5),
    macs=2 * 25 * 8 * 4 * 4,
    params=8 * 4 * 4 + 4,
    training=2 * 2 * 25 * 8 * 4 * 4,
    why="the stride changes the output, not the work",
)
def upsampling() -> nn.Module:
    return nn.ConvTranspose2d(8, 4, 2, stride=2)


@cases.case(
    lambda: grad(2, 8, 5, 5),
    macs=2 * 25 * 8 * (12 // 4) * 9,
    params=8 * 3 * 9 + 12,
    training=3 * 2 * 25 * 8 * 3 * 9,
    why="Cout/groups=3; +dW, +dX",
)
def grouped() -> nn.Module:
    return nn.ConvTranspose2d(8, 12, 3, groups=4, stride=2, padding=1, output_padding=1)


@cases.case(
    lambda: rand(2, 8, 5, 5),
    macs=2 * 25 * 8 * 1 * 16,
    params=8 * 16,
    training=2 * 2 * 25 * 8 * 16,
    why="Cout/groups=1",
)
def depthwise() -> nn.Module:
    return nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=8, bias=False)


@cases.case(
    lambda: rand(2, 4, 7),
    macs=2 * 7 * 4 * 6 * 5,
    params=4 * 6 * 5 + 6,
    training=2 * 2 * 7 * 4 * 6 * 5,
    why="N*Lin*Cin*Cout*k",
)
def one_dimension() -> nn.Module:
    return nn.ConvTranspose1d(4, 6, 5, stride=3, dilation=2)


@cases.case(
    lambda: rand(1, 4, 3, 4, 5),
    macs=60 * 4 * 2 * 8,
    params=4 * 2 * 8 + 2,
    training=2 * 60 * 4 * 2 * 8,
    why="N*Din*Hin*Win*Cin * Cout*8",
)
def three_dimensions() -> nn.Module:
    return nn.ConvTranspose3d(4, 2, 2, stride=2)


@cases.case(lambda: rand(8, 5, 5), macs=25 * 8 * 4 * 9, params=8 * 4 * 9 + 4, training=2 * 25 * 8 * 4 * 9, why="N=1")
def unbatched() -> nn.Module:
    return nn.ConvTranspose2d(8, 4, 3)


@cases.case(
    lambda: rand(2, 8, 5, 5),
    kwargs=lambda: {"output_size": (10, 10)},
    macs=2 * 25 * 8 * 4 * 9,
    params=8 * 4 * 9 + 4,
    training=2 * 2 * 25 * 8 * 4 * 9,
    why="output_size only chooses the output padding",
)
def output_size() -> nn.Module:
    return nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1)


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 16 * 6 * 27 + 2 * 16 * 6 * 3 * 16,
    params=6 * 27 + 6 + 6 * 3 * 16 + 3,
    training=2 * (2 * 16 * 6 * 27) + 3 * (2 * 16 * 6 * 3 * 16),
    why="down to 4x4, up from 4x4",
)
def autoencoder() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1))


cases.expression(
    "functional",
    lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1),
    (8, 4, 3, 3),
    args=lambda: rand(2, 8, 5, 5),
    macs=2 * 25 * 8 * 4 * 9,
    training=2 * 2 * 25 * 8 * 4 * 9,
    why="N*Hin*Win*Cin * Cout*kh*kw; +dW",
)


def by_unfolding(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.fold(w @ F.unfold(x, 3), (6, 6), 1)


def overlapping(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.fold(w @ F.unfold(x, 2, stride=2), (8, 8), 2, stride=2)


others.expression(
    "unfold",
    by_unfolding,
    (4, 27),
    args=lambda: rand(2, 3, 8, 8),
    macs=2 * 4 * 27 * 36,
    training=2 * 2 * 4 * 27 * 36,
    why="a convolution by hand: 4x27 times 27x36; +dW",
)
others.expression(
    "unfold_and_fold",
    overlapping,
    (12, 12),
    args=lambda: rand(2, 3, 8, 8),
    macs=2 * 12 * 12 * 16,
    training=2 * 2 * 12 * 12 * 16,
    why="4x4 patches of 12 values; folding only adds; +dW",
)


class PatchEmbedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 16, 4, stride=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(x).flatten(2).transpose(1, 2)


@others.case(
    lambda: rand(2, 3, 16, 16),
    macs=2 * 16 * 16 * 3 * 16,
    params=16 * 48 + 16,
    training=2 * 2 * 16 * 16 * 48,
    why="4x4 positions, Cout=16, Cin*4*4=48",
)
def patch_embedding() -> nn.Module:
    return PatchEmbedding()


class Dynamic(nn.Module):
    """A convolution whose weight is the output of a linear layer, one for each sample (as groups)."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = nn.Linear(5, 4 * 3 * 9)

    def forward(self, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        weight = self.controller(code).view(2 * 4, 3, 3, 3)
        return F.conv2d(x.reshape(1, 2 * 3, 8, 8), weight, groups=2)


@others.case(
    lambda: (rand(2, 3, 8, 8), rand(2, 5)),
    macs=2 * 5 * 108 + 36 * 8 * 3 * 9,
    params=5 * 108 + 108,
    training=2 * (2 * 5 * 108) + 2 * (36 * 8 * 27),
    why="linear with dW; convolution with the gradient of its weight, not of its input",
)
def dynamic_weight() -> nn.Module:
    return Dynamic()


@others.case(
    lambda: rand(2, 4, 5, 5),
    macs=2 * 25 * 12 * 4 * 9,
    params=12 * 36 + 12,
    training=2 * 2 * 25 * 12 * 36,
    why="shuffling is free",
)
def pixel_shuffle() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 12, 3, padding=1), nn.PixelShuffle(2), nn.PixelUnshuffle(2))


@others.case(
    lambda: rand(2, 4, 8, 8),
    macs=2 * 64 * 4 * 36 + 2 * (4 * 2 + 2 * 4),
    params=4 * 36 + 8 + 8,
    training=3 * (2 * (4 * 2 + 2 * 4)) + 2 * (2 * 64 * 4 * 36),
    why="convolution with dW; the two 1x1 convolutions on pooled values with dW, dX",
)
def squeeze_and_excite() -> nn.Module:
    return SqueezeExcite()


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.squeeze, self.excite = nn.Conv2d(4, 2, 1, bias=False), nn.Conv2d(2, 4, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x * self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
