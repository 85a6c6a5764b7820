"""Bilinear forms and distances.

A bilinear form is one MAC for each (row, output, left feature, right feature): the value is the same whether the left
or the right side is contracted first. Its gradients for the weight, the left and the right are forms of the same size.

A Euclidean distance is one MAC for each pair of points and feature (the product in (x-y)^2), whichever of torch's
two kernels runs; other norms multiply nothing. Each of its two gradients is again one per pair and feature.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, grad, rand

cases = Family("pairwise")


@cases.case(
    lambda: (rand(2, 3), rand(2, 4)),
    macs=2 * 5 * 3 * 4,
    params=5 * 3 * 4 + 5,
    training=2 * 2 * 5 * 3 * 4,
    why="N*out*in1*in2; +dW",
)
def bilinear() -> nn.Module:
    return nn.Bilinear(3, 4, 5)


@cases.case(
    lambda: (grad(2, 3), grad(2, 4)),
    macs=2 * 5 * 3 * 4,
    params=5 * 3 * 4,
    training=4 * 2 * 5 * 3 * 4,
    why="N*out*in1*in2; +dW, +dX1, +dX2",
)
def bilinear_with_gradients() -> nn.Module:
    return nn.Bilinear(3, 4, 5, bias=False)


@cases.case(
    lambda: (rand(2, 7, 3), rand(2, 7, 4)),
    macs=14 * 5 * 3 * 4,
    params=5 * 3 * 4 + 5,
    training=2 * 14 * 5 * 3 * 4,
    why="N=2*7",
)
def bilinear_three_dimensions() -> nn.Module:
    return nn.Bilinear(3, 4, 5)


class LinearThenBilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(6, 3)
        self.form = nn.Bilinear(3, 3, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.form(self.project(x), self.project(y))


@cases.case(
    lambda: (rand(2, 6), rand(2, 6)),
    macs=2 * 2 * 6 * 3 + 2 * 1 * 3 * 3,
    params=6 * 3 + 3 + 3 * 3 + 1,
    training=2 * (2 * 2 * 6 * 3) + 4 * (2 * 1 * 3 * 3),
    why="two projections with dW; the form with dW, dX1, dX2",
)
def bilinear_after_shared_linear() -> nn.Module:
    return LinearThenBilinear()


cases.expression(
    "functional_bilinear",
    F.bilinear,
    (5, 3, 4),
    args=lambda: (rand(2, 3), rand(2, 4)),
    macs=2 * 5 * 3 * 4,
    training=2 * 2 * 5 * 3 * 4,
    why="N*out*in1*in2; +dW",
)
cases.expression(
    "cdist_few_points",
    torch.cdist,
    args=lambda: (rand(2, 5, 3), rand(2, 6, 3)),
    macs=2 * 5 * 6 * 3,
    training=2 * 5 * 6 * 3,
    why="B*P*R*M",
)
cases.expression(
    "cdist_many_points",
    torch.cdist,
    args=lambda: (rand(2, 30, 3), rand(2, 31, 3)),
    macs=2 * 30 * 31 * 3,
    training=2 * 30 * 31 * 3,
    why="B*P*R*M, here as a matrix product",
)
cases.expression(
    "cdist_to_codebook",
    torch.cdist,
    (40, 3),
    args=lambda: grad(30, 3),
    macs=30 * 40 * 3,
    training=3 * 30 * 40 * 3,
    why="P*R*M; both gradients",
)
cases.expression(
    "cdist_to_small_codebook",
    torch.cdist,
    (5, 3),
    args=lambda: grad(4, 3),
    macs=4 * 5 * 3,
    training=3 * 4 * 5 * 3,
    why="P*R*M; both gradients",
)
cases.expression(
    "cdist_manhattan",
    lambda x, y: torch.cdist(x, y, p=1),
    args=lambda: (rand(2, 5, 3), rand(2, 6, 3)),
    macs=0,
    training=0,
    why="absolute differences: no product",
)
cases.expression(
    "cosine_similarity",
    lambda x, y: F.cosine_similarity(x[:, None], y[None], dim=-1),
    args=lambda: (rand(5, 3), rand(6, 3)),
    macs=0,
    training=0,
    why="element-wise products and sums",
)
cases.expression(
    "similarity_of_pairs",
    lambda x, y: F.normalize(x, dim=-1) @ F.normalize(y, dim=-1).T,
    args=lambda: (rand(5, 3), rand(6, 3)),
    macs=5 * 6 * 3,
    training=5 * 6 * 3,
    why="P*R*M; normalising is free",
)
