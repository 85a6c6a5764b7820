"""ViT-B/16: Dosovitskiy et al., An Image is Worth 16x16 Words, 2020 (arXiv:2010.11929), table 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        split: Tensor = self.project_in(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.project_out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return projected


class Block(nn.Module):
    """Attention and a perceptron of four times the width, each normalised before and added after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm_perceptron = nn.LayerNorm(width, eps=1e-6)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_attention(x))
        y: Tensor = x + self.perceptron(self.norm_perceptron(x))
        return y


class ViTB16(nn.Module):
    """Images of 224x224 and 3 channels to the scores of ``classes``."""

    def __init__(
        self, classes: int = 1000, image: int = 224, patch: int = 16, width: int = 768, depth: int = 12, heads: int = 12
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, (image // patch) ** 2 + 1, width).normal_(std=0.02))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classify = nn.Linear(width, classes)

    def forward(self, x: Tensor, *, head: bool = True) -> Tensor:
        patches = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1) + self.positions
        features: Tensor = self.norm(self.blocks(tokens))[:, 0]
        return self.classify(features) if head else features
