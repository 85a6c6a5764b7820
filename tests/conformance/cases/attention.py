"""Scaled dot-product attention: B*H*L*S*E for the scores and B*H*L*S*Ev for the values, masked positions included.

The backward has four products of the same sizes: dV = P^T dO and dP = dO V^T with Ev, dQ = dS K and dK = dS^T Q with
E. The scores that fused kernels compute once more in their backward are a property of the kernel, not of the model:
they do not count. Unless said otherwise nothing here requires grad, or all three of query, key and value do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..case import Family, grad, rand

cases = Family("sdpa")
flex = Family("flex")
sdpa = F.scaled_dot_product_attention
MakeInput = Callable[..., torch.Tensor]
NO_GQA = "" if "enable_gqa" in (sdpa.__doc__ or "") else "this torch has no enable_gqa"
FLEX: dict[str, Any] = {
    "varies": {"meta": "flex_attention itself refuses meta tensors"},
    "needs_values": "flex_attention is a higher-order operator with code of its own",
    "unavailable": "" if find_spec("torch.nn.attention.flex_attention") else "this torch has no flex_attention",
}


def qkv(make: MakeInput = rand, length: int = 5, source: int = 7, value: int = 8) -> tuple[torch.Tensor, ...]:
    """Return query, key and value of batch 2, 3 heads, width 8."""
    return make(2, 3, length, 8), make(2, 3, source, 8), make(2, 3, source, value)


CROSS = 2 * 3 * 5 * 7 * 8  # one product: B*H*L*S*E

cases.expression("plain", sdpa, args=qkv, macs=2 * CROSS, training=2 * CROSS, why="scores and values")
cases.expression(
    "with_gradients", sdpa, args=partial(qkv, grad), macs=2 * CROSS, training=6 * CROSS, why="+dV, dP, dQ, dK"
)
cases.expression(
    "causal",
    partial(sdpa, is_causal=True),
    args=partial(qkv, grad, 6, 6),
    macs=2 * 2 * 3 * 6 * 6 * 8,
    training=6 * 2 * 3 * 6 * 6 * 8,
    why="no discount for the masked half",
)
cases.expression(
    "boolean_mask",
    lambda q, k, v: sdpa(q, k, v, attn_mask=torch.ones(5, 7, dtype=torch.bool, device=q.device).tril()),
    args=qkv,
    macs=2 * CROSS,
    training=2 * CROSS,
    why="no discount for a mask",
)
cases.expression(
    "float_mask",
    lambda q, k, v, bias: sdpa(q, k, v, attn_mask=bias),
    (3, 5, 7),
    args=qkv,
    macs=2 * CROSS,
    training=2 * CROSS + CROSS,
    why="the trainable bias needs dP; q, k and v need nothing: math runs dP alone",
)
cases.expression(
    "padding_mask",
    lambda q, k, v, mask: sdpa(q, k, v, attn_mask=mask[:, None, None, :]),
    args=lambda: (*qkv(grad), torch.arange(7) < torch.tensor([[7], [4]])),
    macs=2 * CROSS,
    training=6 * CROSS,
    why="padding counts",
)
cases.expression(
    "other_value_width",
    sdpa,
    args=partial(qkv, grad, value=12),
    macs=CROSS + 2 * 3 * 5 * 7 * 12,
    training=3 * CROSS + 3 * 2 * 3 * 5 * 7 * 12,
    why="scores with E=8, values with Ev=12; dQ, dK with E; dV, dP with Ev",
)
cases.expression(
    "grouped_queries",
    partial(sdpa, enable_gqa=True),
    args=lambda: (grad(2, 6, 5, 8), grad(2, 2, 7, 8), grad(2, 2, 7, 8)),
    macs=2 * 2 * 6 * 5 * 7 * 8,
    training=6 * 2 * 6 * 5 * 7 * 8,
    why="every one of the 6 query heads attends",
    unavailable=NO_GQA,
)
cases.expression(
    "three_dimensions",
    sdpa,
    args=lambda: (rand(2, 5, 8), rand(2, 7, 8), rand(2, 7, 8)),
    macs=2 * 2 * 5 * 7 * 8,
    training=2 * 2 * 5 * 7 * 8,
    why="no heads: B*L*S*E, twice",
)
cases.expression(
    "five_dimensions",
    sdpa,
    args=lambda: (rand(2, 4, 3, 5, 8), rand(2, 4, 3, 7, 8), rand(2, 4, 3, 7, 8)),
    macs=2 * 24 * 5 * 7 * 8,
    training=2 * 24 * 5 * 7 * 8,
    why="two leading batch dimensions",
)
cases.expression(
    "broadcast_keys",
    sdpa,
    args=lambda: (rand(2, 3, 5, 8), rand(1, 3, 7, 8), rand(1, 3, 7, 8)),
    macs=2 * CROSS,
    training=2 * CROSS,
    why="batch 1 broadcasts to 2",
)
cases.expression(
    "scaled_with_dropout_zero",
    partial(sdpa, scale=0.5, dropout_p=0.0),
    args=qkv,
    macs=2 * CROSS,
    training=2 * CROSS,
    why="scaling is free",
)
cases.expression(
    "bfloat16",
    sdpa,
    args=partial(qkv, partial(rand, dtype=torch.bfloat16)),
    macs=2 * CROSS,
    training=2 * CROSS,
    why="the dtype is free",
)
cases.expression(
    "one_query_of_many_keys",
    sdpa,
    args=partial(qkv, length=1, source=64),
    macs=2 * 2 * 3 * 64 * 8,
    training=2 * 2 * 3 * 64 * 8,
    why="decoding: L=1, S=64",
)


def with_backend(backend: SDPBackend, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    with sdpa_kernel(backend):
        return sdpa(q, k, v)


for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
    cases.expression(
        f"backend_{backend.name.lower()}",
        partial(with_backend, backend),
        args=partial(qkv, grad),
        macs=2 * CROSS,
        training=6 * CROSS,
        why="the same whichever kernel runs",
    )


def by_hand(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.softmax(q @ k.mT / 8**0.5, -1) @ v


cases.expression(
    "by_hand", by_hand, args=partial(qkv, grad), macs=2 * CROSS, training=6 * CROSS, why="as the fused one"
)


class SelfAttention(nn.Module):
    """The attention block of a GPT: one packed projection, causal attention, one output projection."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.qkv(x).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
        return self.out(sdpa(*heads, is_causal=True).transpose(1, 2).flatten(2))


@cases.case(
    lambda: rand(2, 6, 16),
    macs=12 * 16 * 48 + 2 * 2 * 6 * 6 * 16 + 12 * 16 * 16,
    params=16 * 48 + 48 + 16 * 16 + 16,
    training=2 * 12 * 16 * 48 + 6 * 2 * 6 * 6 * 16 + 3 * 12 * 16 * 16,
    why="qkv with dW; 2 products and their 4 gradients; out with dW, dX",
)
def block() -> nn.Module:
    return SelfAttention()


class Decoding(nn.Module):
    """One step of decoding: the cache holds 6 positions, the step appends one."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, x: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        q, k, v = self.qkv(x).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
        k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        return sdpa(q, k, v), k, v


@cases.case(
    lambda: (rand(2, 1, 16), (rand(2, 4, 6, 4), rand(2, 4, 6, 4))),
    macs=2 * 16 * 48 + 2 * 2 * 4 * 1 * 7 * 4,
    params=16 * 48 + 48,
    training=2 * 2 * 16 * 48 + 6 * 2 * 4 * 1 * 7 * 4,
    why="one token projected; it attends to 6+1 keys",
)
def decoding_step() -> nn.Module:
    return Decoding()


def flex_attention(*args: Any, **options: Any) -> torch.Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention(*args, **options)


flex.expression(
    "plain",
    flex_attention,
    args=partial(qkv, source=5),
    macs=2 * 2 * 3 * 25 * 8,
    training=2 * 1200,
    why="as SDPA",
    **FLEX,
)
flex.expression(
    "score_modification",
    partial(flex_attention, score_mod=lambda score, b, h, q, k: score - (q - k).abs()),
    args=qkv,
    macs=2 * CROSS,
    training=2 * CROSS,
    why="the modification is element-wise",
    **FLEX,
)


def with_block_mask(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    from torch.nn.attention.flex_attention import create_block_mask

    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, q.shape[2], k.shape[2], device=q.device.type)
    return flex_attention(q, k, v, block_mask=mask)


flex.expression(
    "block_mask",
    with_block_mask,
    args=qkv,
    macs=2 * CROSS,
    training=2 * CROSS,
    why="no discount for masked blocks",
    **FLEX,
)
flex.expression(
    "grouped_queries",
    partial(flex_attention, enable_gqa=True),
    args=lambda: (rand(2, 6, 5, 8), rand(2, 2, 7, 8), rand(2, 2, 7, 8)),
    macs=2 * 2 * 6 * 5 * 7 * 8,
    training=2 * 2 * 6 * 5 * 7 * 8,
    why="every one of the 6 query heads attends",
    **FLEX,
)
