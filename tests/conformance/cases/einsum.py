"""einsum of two operands: the product of the sizes of all distinct indices, if any index is contracted, else 0.

An index of one operand alone that the result lacks is summed before the product. Three operands or more are left out:
their order depends on whether opt_einsum is installed.
"""

from __future__ import annotations

from typing import Any

import torch

from ..case import Family, rand

cases = Family("einsum")


def einsum(name: str, equation: str, *weights: tuple[int, ...], **others: Any) -> None:
    cases.expression(name, lambda *operands: torch.einsum(equation, *operands), *weights, **others)


einsum("matrices", "ij,jk->ik", (16, 8), args=lambda: rand(4, 16), macs=4 * 16 * 8, training=2 * 512, why="i*j*k; +dW")
einsum(
    "batches",
    "bij,bjk->bik",
    (3, 16, 8),
    args=lambda: rand(3, 4, 16),
    macs=3 * 4 * 16 * 8,
    training=2 * 3 * 4 * 16 * 8,
    why="b*i*j*k; +dW",
)
einsum(
    "linear",
    "bij,kj->bik",
    (8, 16),
    args=lambda: rand(3, 4, 16),
    macs=3 * 4 * 16 * 8,
    training=2 * 3 * 4 * 16 * 8,
    why="b*i*j*k; +dW",
)
einsum(
    "attention_scores",
    "bhqd,bhkd->bhqk",
    args=lambda: (rand(2, 3, 5, 8), rand(2, 3, 7, 8)),
    macs=2 * 3 * 5 * 7 * 8,
    training=2 * 3 * 5 * 7 * 8,
    why="b*h*q*k*d",
)
einsum(
    "relative_positions",
    "bhwc,hkc->bhwk",
    (6, 5, 4),
    args=lambda: rand(2, 6, 7, 4),
    macs=2 * 6 * 7 * 4 * 5,
    training=2 * 2 * 6 * 7 * 4 * 5,
    why="b*h*w*c*k; +dW",
)
einsum(
    "tensors",
    "abcd,cdef->abef",
    (4, 5, 6, 7),
    args=lambda: rand(2, 3, 4, 5),
    macs=2 * 3 * 4 * 5 * 6 * 7,
    training=2 * 2 * 3 * 4 * 5 * 6 * 7,
    why="a*b*c*d*e*f; +dW",
)
einsum(
    "ellipsis",
    "...ij,jk->...ik",
    (16, 8),
    args=lambda: rand(2, 3, 4, 16),
    macs=2 * 3 * 4 * 16 * 8,
    training=2 * 2 * 3 * 4 * 16 * 8,
    why="...*i*j*k; +dW",
)
einsum("matrix_by_vector", "ij,j->i", (16,), args=lambda: rand(4, 16), macs=64, training=128, why="i*j; dW sums over i")
einsum(
    "implicit_result",
    "ij,jk",
    (16, 8),
    args=lambda: rand(4, 16),
    macs=4 * 16 * 8,
    training=2 * 4 * 16 * 8,
    why="the same as ij,jk->ik",
)
einsum("full_contraction", "ij,ij->", args=lambda: (rand(4, 16), rand(4, 16)), macs=64, training=64, why="i*j")
einsum("transposition", "ij->ji", args=lambda: rand(4, 16), macs=0, training=0, why="no product")
einsum("trace", "ii->", args=lambda: rand(4, 4), macs=0, training=0, why="no product")
einsum("hadamard", "ij,ij->ij", args=lambda: (rand(4, 16), rand(4, 16)), macs=0, training=0, why="nothing contracted")
einsum("outer", "i,j->ij", args=lambda: (rand(4), rand(8)), macs=0, training=0, why="nothing contracted")
einsum(
    "index_summed_first",
    "ijk,jl->il",
    args=lambda: (rand(4, 5, 6), rand(5, 7)),
    macs=4 * 5 * 7,
    training=4 * 5 * 7,
    why="k is summed before the product: i*j*l",
)


def bilinear(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return torch.einsum("boj,bj->bo", torch.einsum("bi,oij->boj", x, w), y)


cases.expression(
    "two_steps",
    bilinear,
    (5, 3, 4),
    args=lambda: (rand(2, 3), rand(2, 4)),
    macs=2 * 3 * 5 * 4 + 2 * 5 * 4,
    training=2 * 2 * 3 * 5 * 4 + 2 * 2 * 5 * 4,
    why="b*i*o*j, then b*o*j; dW is b*o*i*j, d(boj) a batch of matrix products of inner size 1: b*o*j",
)
