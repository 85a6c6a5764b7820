"""Transformer layers of width 16, 4 heads, feed-forward 32: self-attention, cross-attention and two linear layers each.

Of the first layer only the input projection has no dX: its input requires no grad.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..case import Family, rand

cases = Family("transformer")

OPTIONS: dict[str, Any] = {"d_model": 16, "nhead": 4, "dim_feedforward": 32, "dropout": 0.0, "batch_first": True}

# Two sequences of 5 tokens through one encoder layer.
IN, ATTEND, OUT, FEED = 10 * 16 * 48, 2 * 5 * 5 * 16, 10 * 16 * 16, 2 * 10 * 16 * 32
LAYER = IN + 2 * ATTEND + OUT + FEED
LAYER_TRAINING = 3 * IN + 6 * ATTEND + 3 * OUT + 3 * FEED
LAYER_PARAMS = (16 * 48 + 48) + (16 * 16 + 16) + (16 * 32 + 32) + (32 * 16 + 16) + 2 * 2 * 16

# A decoder layer on 2 * 5 target tokens and 2 * 7 memory tokens adds cross-attention.
CROSS_IN, CROSS_ATTEND, CROSS_OUT = 10 * 16 * 16 + 14 * 16 * 32, 2 * 5 * 7 * 16, 10 * 16 * 16
DECODER = LAYER + CROSS_IN + 2 * CROSS_ATTEND + CROSS_OUT
DECODER_PARAMS = LAYER_PARAMS + (16 * 48 + 48) + (16 * 16 + 16) + 2 * 16
# The memory, an input, requires no grad: its projection has dW only. The query's has dW and dX.
DECODER_TRAINING = LAYER_TRAINING + 3 * 10 * 16 * 16 + 2 * 14 * 16 * 32 + 6 * CROSS_ATTEND + 3 * CROSS_OUT


def causal() -> torch.Tensor:
    return nn.Transformer.generate_square_subsequent_mask(5)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=LAYER,
    params=LAYER_PARAMS,
    training=LAYER_TRAINING - IN,
    why="attention and two linear layers; no dX into the input",
)
def encoder_layer() -> nn.Module:
    return nn.TransformerEncoderLayer(**OPTIONS)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=LAYER,
    params=LAYER_PARAMS,
    training=LAYER_TRAINING - IN,
    why="evaluation mode takes the fast path, which costs the same",
)
def encoder_layer_in_evaluation() -> nn.Module:
    return nn.TransformerEncoderLayer(**OPTIONS).eval()


@cases.case(
    lambda: rand(2, 5, 16),
    macs=LAYER,
    params=LAYER_PARAMS,
    training=LAYER_TRAINING,
    why="norm first: its weight is trainable, so the projection has a dX",
)
def encoder_layer_norm_first() -> nn.Module:
    return nn.TransformerEncoderLayer(**OPTIONS, norm_first=True, activation="gelu")


@cases.case(
    lambda: rand(2, 5, 16),
    kwargs=lambda: {"src_key_padding_mask": torch.arange(5) >= torch.tensor([[5], [3]])},
    macs=LAYER,
    params=LAYER_PARAMS,
    training=LAYER_TRAINING - IN,
    why="padding counts",
)
def encoder_layer_with_padding() -> nn.Module:
    return nn.TransformerEncoderLayer(**OPTIONS)


@cases.case(
    lambda: rand(5, 16),
    macs=LAYER // 2,
    params=LAYER_PARAMS,
    training=(LAYER_TRAINING - IN) // 2,
    why="one sequence of 5 is half of two",
)
def encoder_layer_unbatched() -> nn.Module:
    return nn.TransformerEncoderLayer(**OPTIONS)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=3 * LAYER,
    params=3 * LAYER_PARAMS + 2 * 16,
    training=3 * LAYER_TRAINING - IN,
    why="three layers and a norm",
)
def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(**OPTIONS)
    return nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(16), enable_nested_tensor=False)


@cases.case(
    lambda: rand(2, 5, 16),
    macs=2 * LAYER,
    params=2 * LAYER_PARAMS,
    training=2 * LAYER_TRAINING - IN,
    why="two layers",
)
def encoder_in_evaluation() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(**OPTIONS), 2).eval()


@cases.case(
    lambda: rand(2, 5, 16),
    kwargs=lambda: {"mask": causal(), "is_causal": True},
    macs=2 * LAYER,
    params=2 * LAYER_PARAMS,
    training=2 * LAYER_TRAINING - IN,
    why="no discount for the masked half",
)
def causal_encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(**OPTIONS), 2, enable_nested_tensor=False)


@cases.case(
    lambda: rand(2, 5, 16),
    kwargs=lambda: {"src_key_padding_mask": torch.arange(5) >= torch.tensor([[5], [3]])},
    macs=2 * LAYER,
    params=2 * LAYER_PARAMS,
    training=2 * LAYER_TRAINING - IN,
    why="padding counts, although the fast path would skip it",
)
def encoder_with_padding_in_evaluation() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(**OPTIONS), 2).eval()


@cases.case(
    lambda: (rand(2, 5, 16), rand(2, 7, 16)),
    kwargs=lambda: {"tgt_mask": causal()},
    macs=DECODER,
    params=DECODER_PARAMS,
    training=DECODER_TRAINING - IN,
    why="self-attention, cross-attention to 7 keys, two linear layers",
)
def decoder_layer() -> nn.Module:
    return nn.TransformerDecoderLayer(**OPTIONS)


@cases.case(
    lambda: (rand(2, 5, 16), rand(2, 7, 16)),
    macs=2 * DECODER,
    params=2 * DECODER_PARAMS,
    training=2 * DECODER_TRAINING - IN,
    why="two layers, both attend to the same memory",
)
def decoder() -> nn.Module:
    return nn.TransformerDecoder(nn.TransformerDecoderLayer(**OPTIONS), 2)


# The encoder of the whole transformer sees 2 * 7 source tokens.
SOURCE_IN, SOURCE_ATTEND = 14 * 16 * 48, 2 * 7 * 7 * 16
SOURCE = SOURCE_IN + 2 * SOURCE_ATTEND + 14 * 16 * 16 + 2 * 14 * 16 * 32
SOURCE_TRAINING = 2 * SOURCE_IN + 6 * SOURCE_ATTEND + 3 * 14 * 16 * 16 + 3 * 2 * 14 * 16 * 32


@cases.case(
    lambda: (rand(2, 7, 16), rand(2, 5, 16)),
    kwargs=lambda: {"tgt_mask": causal(), "tgt_is_causal": True},
    macs=SOURCE + DECODER,
    params=LAYER_PARAMS + DECODER_PARAMS + 2 * 2 * 16,
    training=SOURCE_TRAINING + DECODER_TRAINING - IN + 14 * 16 * 32,
    why="here the memory is computed: its projection has a dX too",
)
def whole() -> nn.Module:
    return nn.Transformer(16, 4, 1, 1, 32, dropout=0.0, batch_first=True)


class Classifier(nn.Module):
    """A vision transformer in small: patches, class token, positions, two layers, head on the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.positions = nn.Parameter(torch.zeros(1, 5, 16))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**OPTIONS), 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 4 * 16 * 48 + 2 * LAYER + 2 * 16 * 3,
    params=16 * 48 + 16 + 16 + 5 * 16 + 2 * LAYER_PARAMS + 16 * 3 + 3,
    training=2 * 2 * 4 * 16 * 48 + 2 * LAYER_TRAINING + 3 * 2 * 16 * 3,
    why="4 patches and the class token are 5 tokens; the head sees the class token alone",
)
def vision_classifier() -> nn.Module:
    return Classifier()
