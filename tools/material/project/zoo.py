"""The models of the material: well-known ones, and some that show what reports have to bear.

With MATERIAL_BASE=1 in the environment they are what they were before the change that the material shows.
"""

from __future__ import annotations

import os

import torch
import transformers
from torch import nn

BASE = os.environ.get("MATERIAL_BASE") == "1"
transformers.logging.set_verbosity_error()


def gpt2_small() -> nn.Module:
    """GPT-2, with one block more than before."""
    return transformers.GPT2Model(transformers.GPT2Config(n_layer=12 if BASE else 13))


def llama_8b() -> nn.Module:
    """Llama 3 8B."""
    return _llama(4096, 14336, 32, 32)


def llama_405b() -> nn.Module:
    """Llama 3 405B."""
    return _llama(16384, 53248, 126, 128)


def _llama(width: int, inner: int, layers: int, heads: int) -> nn.Module:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=128_256,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=8,
        )
    )


def bert() -> nn.Module:
    """BERT base."""
    return transformers.BertModel(transformers.BertConfig())


def resnet50() -> nn.Module:
    """ResNet-50, whose classifier has 200 classes more than before."""
    config = transformers.ResNetConfig(num_labels=1000 if BASE else 1200)
    return transformers.ResNetForImageClassification(config)


def mobilenetv2() -> nn.Module:
    """MobileNetV2, with a classifier of 900 classes instead of 1 000."""
    return transformers.MobileNetV2ForImageClassification(
        transformers.MobileNetV2Config(num_labels=1000 if BASE else 900)
    )


def vit_b_16() -> nn.Module:
    """ViT-B/16."""
    return transformers.ViTModel(transformers.ViTConfig(), add_pooling_layer=False)


def vit_tiny() -> nn.Module:
    """ViT-Ti/16, which is new."""
    config = transformers.ViTConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768)
    return transformers.ViTModel(config, add_pooling_layer=False)


def convnext() -> nn.Module:
    """ConvNeXt-T."""
    return transformers.ConvNextModel(transformers.ConvNextConfig())


def swin() -> nn.Module:
    """Swin-T."""
    return transformers.SwinModel(transformers.SwinConfig())


class Tower(nn.Module):
    """One tower of the recommender: a gate, and 49 experts of one layer each."""

    def __init__(self, wide: range) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 49)
        for number in range(49):
            self.add_module(f"expert_{number}", nn.Linear(16, 17 if number in wide else 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [part(x).sum(-1, keepdim=True) for name, part in self.named_children() if name != "gate"]
        return torch.cat(parts, -1) * self.gate(x).softmax(-1)


class Recommender(nn.Module):
    """40 towers beside each other: 2 042 modules, of which 39 are wider than before."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Embedding(10_000, 16)
        self.towers = nn.ModuleDict(
            {
                f"tower_{number:02}": Tower(range(10, 49) if number == 7 and not BASE else range(0))
                for number in range(40)
            }
        )

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.features(ids)
        return torch.stack([tower(x) for tower in self.towers.values()])


@torch.library.custom_op("serving::fused_scan", mutates_args=(), schema="(Tensor x) -> Tensor")
def fused_scan(x: torch.Tensor) -> torch.Tensor:
    return x.cumsum(1)


@fused_scan.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Mamba(nn.Module):
    """A state space model whose scan is an operator without a formula."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(256, 512)
        self.out = nn.Linear(512, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(fused_scan(self.project(x)))


class Reader(nn.Module):
    """Attention over the whole text, where growth is declared to be linear."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.query(x) @ self.key(x).mT).softmax(-1) @ x


class Detector(nn.Module):
    """A small network that is trained under a budget."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU())
        self.head = nn.Conv2d(64, 24, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def tagger() -> nn.Module:
    """A tagger without a budget."""
    return nn.Sequential(nn.Embedding(5_000, 64), nn.Linear(64, 12))


def ranker() -> nn.Module:
    """A ranker that is above the threshold of a warning."""
    return nn.Sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 1))
