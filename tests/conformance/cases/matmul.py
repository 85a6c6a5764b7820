"""Products of matrices and vectors: every pair of elements that is multiplied and accumulated is one MAC.

``outer``, ``addr``, ``kron`` and ``*`` multiply without accumulating: element-wise, 0 MACs. Their like appears in the
backward of ``mv`` and ``dot``, whose weight gradients are outer products or scalings.
"""

from __future__ import annotations

import torch

from ..case import Family, grad, ints, rand

cases = Family("matmul")
fn = cases.expression

# Two operands with the weight on the right: forward and dW, because the input needs no gradient.
fn("at", lambda x, w: x @ w, (16, 8), args=lambda: rand(4, 16), macs=512, training=2 * 512, why="4*16*8; +dW")
fn(
    "weight_on_the_left",
    lambda x, w: w @ x,
    (8, 16),
    args=lambda: rand(16, 4),
    macs=8 * 16 * 4,
    training=2 * 8 * 16 * 4,
    why="8*16*4; +dW",
)
fn("mm", torch.mm, (16, 8), args=lambda: grad(4, 16), macs=512, training=3 * 512, why="4*16*8; +dW, +dX")
fn("bmm", torch.bmm, (3, 16, 8), args=lambda: rand(3, 4, 16), macs=1536, training=2 * 1536, why="3*4*16*8; +dW")
fn(
    "batch_by_matrix",
    torch.matmul,
    (16, 8),
    args=lambda: rand(3, 4, 16),
    macs=3 * 4 * 16 * 8,
    training=2 * 3 * 4 * 16 * 8,
    why="B*n*k*m; +dW",
)
fn(
    "matrix_by_batch",
    torch.matmul,
    (3, 16, 8),
    args=lambda: rand(4, 16),
    macs=3 * 4 * 16 * 8,
    training=2 * 3 * 4 * 16 * 8,
    why="B*n*k*m; +dW",
)
fn(
    "four_dimensions",
    torch.matmul,
    (2, 3, 16, 8),
    args=lambda: rand(2, 3, 4, 16),
    macs=2 * 3 * 4 * 16 * 8,
    training=2 * 2 * 3 * 4 * 16 * 8,
    why="B*H*n*k*m; +dW",
)
fn(
    "both_sides_broadcast",
    torch.matmul,
    (1, 3, 16, 8),
    args=lambda: rand(2, 1, 4, 16),
    macs=2 * 3 * 4 * 16 * 8,
    training=2 * 2 * 3 * 4 * 16 * 8,
    why="the batch broadcasts to 2*3; +dW",
)
fn("dot", torch.dot, (16,), args=lambda: rand(16), macs=16, training=16, why="k; dW = g*x is element-wise")
fn("vdot", torch.vdot, (16,), args=lambda: rand(16), macs=16, training=16, why="k; dW = g*x is element-wise")
fn(
    "vector_by_vector",
    torch.matmul,
    (16,),
    args=lambda: rand(16),
    macs=16,
    training=16,
    why="k; dW = g*x is element-wise",
)
fn(
    "mv",
    lambda x, w: torch.mv(w, x),
    (8, 16),
    args=lambda: grad(16),
    macs=8 * 16,
    training=2 * 8 * 16,
    why="n*k; dX = W^T g is n*k, dW = g x^T is an outer product: 0",
)
fn(
    "matrix_by_vector",
    lambda x, w: x @ w,
    (16,),
    args=lambda: rand(4, 16),
    macs=4 * 16,
    training=2 * 4 * 16,
    why="n*k; dW = X^T g",
)
fn(
    "batch_by_vector",
    torch.matmul,
    (16,),
    args=lambda: rand(3, 4, 16),
    macs=3 * 4 * 16,
    training=2 * 3 * 4 * 16,
    why="B*n*k; dW = X^T g",
)
fn("vector_by_matrix", torch.matmul, args=lambda: (rand(16), rand(16, 8)), macs=16 * 8, training=16 * 8, why="k*m")
fn(
    "vector_by_batch",
    torch.matmul,
    args=lambda: (rand(16), rand(3, 16, 8)),
    macs=3 * 16 * 8,
    training=3 * 16 * 8,
    why="B*k*m",
)
fn("addmm", torch.addmm, (16, 8), args=lambda: (rand(8), rand(4, 16)), macs=512, training=1024, why="4*16*8; +dW")
fn(
    "addmm_scaled",
    lambda b, x, w: torch.addmm(b, x, w, beta=0.5, alpha=2),
    (16, 8),
    args=lambda: (rand(4, 8), rand(4, 16)),
    macs=4 * 16 * 8,
    training=2 * 4 * 16 * 8,
    why="scaling is free",
)
fn("addmv", torch.addmv, args=lambda: (rand(4), rand(4, 16), rand(16)), macs=64, training=64, why="4*16")
fn(
    "addbmm",
    torch.addbmm,
    args=lambda: (rand(4, 8), rand(3, 4, 16), rand(3, 16, 8)),
    macs=3 * 4 * 16 * 8,
    training=3 * 4 * 16 * 8,
    why="B*n*k*m, then summed over B",
)
fn(
    "baddbmm",
    torch.baddbmm,
    (3, 16, 8),
    args=lambda: (rand(3, 4, 8), rand(3, 4, 16)),
    macs=3 * 4 * 16 * 8,
    training=2 * 3 * 4 * 16 * 8,
    why="B*n*k*m; +dW",
)
fn(
    "chain_matmul",
    torch.chain_matmul,
    args=lambda: (rand(10, 100), rand(100, 5), rand(5, 50)),
    macs=10 * 100 * 5 + 10 * 5 * 50,
    training=10 * 100 * 5 + 10 * 5 * 50,
    why="the cheapest order is (AB)C",
)
fn(
    "multi_dot",
    lambda *matrices: torch.linalg.multi_dot(matrices),
    args=lambda: (rand(50, 5), rand(5, 100), rand(100, 10), rand(10, 4)),
    macs=5 * 100 * 10 + 5 * 10 * 4 + 50 * 5 * 4,
    training=5 * 100 * 10 + 5 * 10 * 4 + 50 * 5 * 4,
    why="the cheapest order is A((BC)D): 6200; A(B(CD)) would be 7000",
)
fn(
    "tensordot",
    lambda x, w: torch.tensordot(x, w, dims=2),
    (5, 6, 7),
    args=lambda: rand(4, 5, 6),
    macs=4 * 5 * 6 * 7,
    training=2 * 4 * 5 * 6 * 7,
    why="free 4 and 7, contracted 5*6; +dW",
)
fn(
    "tensordot_of_chosen_dims",
    lambda x, y: torch.tensordot(x, y, dims=([0, 2], [1, 0])),
    args=lambda: (rand(4, 5, 6), rand(6, 4, 7)),
    macs=5 * 7 * 4 * 6,
    training=5 * 7 * 4 * 6,
    why="free 5 and 7, contracted 4*6",
)
fn(
    "inner",
    torch.inner,
    (8, 16),
    args=lambda: rand(2, 4, 16),
    macs=2 * 4 * 8 * 16,
    training=2 * 2 * 4 * 8 * 16,
    why="every row by every row; +dW",
)
fn("inner_of_vectors", torch.inner, args=lambda: (rand(16), rand(16)), macs=16, training=16, why="k")
fn("linalg_matmul", torch.linalg.matmul, (16, 8), args=lambda: rand(4, 16), macs=512, training=1024, why="4*16*8; +dW")
fn("matrix_power", lambda x: torch.linalg.matrix_power(x, 3), args=lambda: rand(6, 6), macs=432, why="2 * 6*6*6")
fn("outer", torch.outer, (8,), args=lambda: rand(4), macs=0, why="no accumulation: element-wise")
fn(
    "addr",
    torch.addr,
    args=lambda: (rand(4, 8), rand(4), rand(8)),
    macs=0,
    training=0,
    why="an outer product: element-wise",
)
fn("kron", torch.kron, args=lambda: (rand(2, 3), rand(4, 5)), macs=0, training=0, why="no accumulation: element-wise")
fn("product_and_sum", lambda x, y: (x * y).sum(-1), args=lambda: (rand(4, 16), rand(4, 16)), macs=0, why="element-wise")
fn(
    "integers",
    torch.matmul,
    args=lambda: (ints(4, 16, high=9), ints(16, 8, high=9)),
    macs=512,
    training=512,
    why="4*16*8",
)
fn("inner_size_zero", torch.matmul, args=lambda: (rand(4, 0), rand(0, 8)), macs=0, training=0, why="4*0*8")
fn(
    "gram",
    lambda x: x @ x.mT,
    args=lambda: grad(3, 4, 16),
    macs=3 * 4 * 4 * 16,
    training=3 * 3 * 4 * 4 * 16,
    why="x is both operands: two gradients",
)


def with_out(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    result = x.new_empty(0)
    torch.mm(x, w.detach(), out=result)
    return result


def in_place(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return x.new_zeros(4, 8).addmm_(x, w).relu_()


fn("out_argument", with_out, (16, 8), args=lambda: rand(4, 16), macs=512, training=512, why="4*16*8; W is detached")
fn("in_place", in_place, (16, 8), args=lambda: rand(4, 16), macs=512, training=2 * 512, why="4*16*8; +dW")
fn(
    "baddbmm_in_place",
    lambda total, x, y: total.clone().baddbmm_(x, y),
    args=lambda: (rand(3, 4, 8), rand(3, 4, 16), rand(3, 16, 8)),
    macs=3 * 4 * 16 * 8,
    training=3 * 4 * 16 * 8,
    why="B*n*k*m",
)
