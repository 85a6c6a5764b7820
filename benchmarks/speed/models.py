"""The models that are timed: a factory and an input each. None of them downloads anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parents[2] / "example_project"))

import torch
from torch import nn

from zoo.mobilenetv2 import MobileNetV2
from zoo.resnet import ResNet50
from zoo.vit import ViTB16

Factory = Callable[[], nn.Module]


class _Transformers:
    """Imports transformers when a model of it is asked for: it takes longer than all else in a short process."""

    def __getattr__(self, name: str) -> Any:
        import transformers

        transformers.logging.set_verbosity_error()
        return getattr(transformers, name)


hf = _Transformers()


def image() -> torch.Tensor:
    return torch.zeros(1, 3, 224, 224)


def tokens(length: int = 128) -> torch.Tensor:
    return torch.ones(1, length, dtype=torch.long)


MODELS: dict[str, tuple[Factory, Callable[[], torch.Tensor]]] = {
    "resnet50": (ResNet50, image),
    "mobilenetv2": (MobileNetV2, image),
    "vit_b_16": (ViTB16, image),
    "vit_l_16": (lambda: ViTB16(width=1024, depth=24, heads=16), image),
    "convnext": (lambda: hf.ConvNextModel(hf.ConvNextConfig()), image),
    "swin": (lambda: hf.SwinModel(hf.SwinConfig()), image),
    "bert": (lambda: hf.BertModel(hf.BertConfig()), tokens),
    "gpt2": (lambda: hf.GPT2Model(hf.GPT2Config()), tokens),
}

LARGE: dict[str, Factory] = {
    "llama-70b": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(
            hidden_size=8192,
            intermediate_size=28672,
            num_hidden_layers=80,
            num_attention_heads=64,
            num_key_value_heads=8,
            vocab_size=128256,
        )
    ),
    "llama-405b": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(
            hidden_size=16384,
            intermediate_size=53248,
            num_hidden_layers=126,
            num_attention_heads=128,
            num_key_value_heads=8,
            vocab_size=128256,
        )
    ),
    "deepseek-v3-671b": lambda: hf.DeepseekV3ForCausalLM(hf.DeepseekV3Config()),
    "mixtral-8x22b": lambda: hf.MixtralForCausalLM(
        hf.MixtralConfig(
            hidden_size=6144,
            intermediate_size=16384,
            num_hidden_layers=56,
            num_attention_heads=48,
            num_key_value_heads=8,
            vocab_size=32768,
        )
    ),
}


class Unrolled(nn.Module):
    """An RNN cell called step by step: about five operators a step."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.cell = nn.RNNCell(16, 16)
        self.steps = steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x
        for _ in range(self.steps):
            state = self.cell(x, state)
        return state
