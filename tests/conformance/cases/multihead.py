"""nn.MultiheadAttention, N queries of length L, S keys, width E:

projections N*L*E*E (query), N*S*kdim*E (key), N*S*vdim*E (value), N*L*E*E (output); attention 2 * N*L*S*E. Backward: dW
of every projection, dX of those that something trainable feeds, four products for the attention. The inputs require
no grad, so the three input projections have no dX and the output projection has one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..case import Family, grad, rand

cases = Family("multihead")

IN = 10 * 16 * 48  # one packed projection of 2*5 tokens, 16 -> 3*16
ATTEND = 2 * 5 * 5 * 16  # one product: N*L*S*E
OUT = 10 * 16 * 16
PARAMS = 16 * 48 + 48 + 16 * 16 + 16


class SelfAttention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.need_weights = options.pop("need_weights", False)
        self.attention = nn.MultiheadAttention(16, 4, **{"batch_first": True, **options})

    def forward(self, x: torch.Tensor, **masks: Any) -> Any:
        return self.attention(x, x, x, need_weights=self.need_weights, **masks)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=IN + 2 * ATTEND + OUT,
    params=PARAMS,
    training=2 * IN + 6 * ATTEND + 3 * OUT,
    why="packed projection, two products, output projection",
)
def self_attention() -> nn.Module:
    return SelfAttention()


@cases.case(
    lambda: rand(2, 5, 16),
    macs=IN + 2 * ATTEND + OUT,
    params=PARAMS,
    training=2 * IN + 6 * ATTEND + 3 * OUT,
    why="returning the weights costs nothing more",
)
def self_attention_with_weights() -> nn.Module:
    return SelfAttention(need_weights=True)


@cases.case(
    lambda: grad(5, 2, 16),
    macs=IN + 2 * ATTEND + OUT,
    params=PARAMS,
    training=3 * IN + 6 * ATTEND + 3 * OUT,
    why="sequence first; the input requires grad",
)
def sequence_first() -> nn.Module:
    return SelfAttention(batch_first=False)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=IN + 2 * ATTEND + OUT,
    params=16 * 48 + 16 * 16,
    training=2 * IN + 6 * ATTEND + 3 * OUT,
    why="biases are free",
)
def without_bias() -> nn.Module:
    return SelfAttention(bias=False)


@cases.case(
    lambda: rand(2, 5, 16),
    kwargs=lambda: {"attn_mask": torch.ones(5, 5, dtype=torch.bool).triu(1), "is_causal": True},
    macs=IN + 2 * ATTEND + OUT,
    params=PARAMS,
    training=2 * IN + 6 * ATTEND + 3 * OUT,
    why="no discount for the masked half",
)
def causal() -> nn.Module:
    return SelfAttention()


@cases.case(
    lambda: rand(2, 5, 16),
    kwargs=lambda: {"key_padding_mask": torch.arange(5) >= torch.tensor([[5], [3]])},
    macs=IN + 2 * ATTEND + OUT,
    params=PARAMS,
    training=2 * IN + 6 * ATTEND + 3 * OUT,
    why="padding counts",
)
def key_padding_mask() -> nn.Module:
    return SelfAttention(need_weights=True)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=IN + 2 * 2 * 5 * 6 * 16 + OUT,
    params=PARAMS + 2 * 16,
    training=2 * IN + 6 * 2 * 5 * 6 * 16 + 3 * OUT,
    why="one more key and value: S=6",
)
def bias_kv() -> nn.Module:
    return SelfAttention(add_bias_kv=True)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=IN + 2 * 2 * 5 * 6 * 16 + OUT,
    params=PARAMS,
    training=2 * IN + 6 * 2 * 5 * 6 * 16 + 3 * OUT,
    why="one more key of zeros: S=6",
)
def zero_attention() -> nn.Module:
    return SelfAttention(add_zero_attn=True)


@cases.case(
    lambda: rand(5, 16),
    macs=5 * 16 * 48 + 2 * 5 * 5 * 16 + 5 * 16 * 16,
    params=PARAMS,
    training=2 * 5 * 16 * 48 + 6 * 5 * 5 * 16 + 3 * 5 * 16 * 16,
    why="N=1",
)
def unbatched() -> nn.Module:
    return SelfAttention()


@cases.case(
    lambda: (rand(2, 5, 16), rand(2, 7, 16)),
    macs=10 * 16 * 16 + 14 * 16 * 32 + 2 * 2 * 5 * 7 * 16 + 10 * 16 * 16,
    params=PARAMS,
    training=2 * 10 * 16 * 16 + 2 * 14 * 16 * 32 + 6 * 2 * 5 * 7 * 16 + 3 * 10 * 16 * 16,
    why="query from 5 tokens; key and value from 7; S=7",
)
def cross_attention() -> nn.Module:
    return CrossAttention()


@cases.case(
    lambda: (rand(2, 5, 16), rand(2, 7, 12), rand(2, 7, 20)),
    macs=10 * 16 * 16 + 14 * 12 * 16 + 14 * 20 * 16 + 2 * 2 * 5 * 7 * 16 + 10 * 16 * 16,
    params=16 * 16 + 12 * 16 + 20 * 16 + 48 + 16 * 16 + 16,
    training=2 * (10 * 16 * 16 + 14 * 12 * 16 + 14 * 20 * 16) + 6 * 2 * 5 * 7 * 16 + 3 * 10 * 16 * 16,
    why="kdim=12, vdim=20 have their own projections",
)
def key_and_value_widths() -> nn.Module:
    return CrossAttention(kdim=12, vdim=20)


class CrossAttention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True, **options)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor | None = None) -> torch.Tensor:
        return self.attention(query, key, key if value is None else value)[0]


@cases.case(
    lambda: (rand(2, 5, 16), rand(2, 5, 16), rand(2, 5, 16)),
    macs=3 * 10 * 16 * 16 + 2 * ATTEND + OUT,
    params=PARAMS,
    training=2 * 3 * 10 * 16 * 16 + 6 * ATTEND + 3 * OUT,
    why="three different inputs: three projections of 16 -> 16",
)
def three_inputs() -> nn.Module:
    return CrossAttention()


@cases.case(
    lambda: rand(2, 5, 16),
    macs=10 * 16 * 16 + IN + 2 * ATTEND + OUT,
    params=16 * 16 + 16 + PARAMS,
    trainable=16 * 16 + 16,
    training=2 * 10 * 16 * 16 + 2 * IN + 6 * ATTEND + 2 * OUT,
    why="linear with dW; frozen attention: every gradient but those of its weights",
)
def frozen_after_trainable() -> nn.Module:
    model = nn.Sequential(nn.Linear(16, 16), SelfAttention())
    model[1].requires_grad_(False)
    return model
