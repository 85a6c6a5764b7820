"""Models of public repositories, small, declared as they are: no wrapper, no test."""

from __future__ import annotations

import pytest

from pytest_modelbudget.results.store import read_report

from .conftest import PLAIN_AND_N2, Run

ZOO = """
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence


# A configuration object, as nanoGPT and litgpt have; by name, in several sizes.
@dataclass
class GPTConfig:
    n_layer: int = 1
    n_embd: int = 8
    vocab_size: int = 64


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.Sequential(*[nn.Linear(config.n_embd, config.n_embd) for _ in range(config.n_layer)])

    @classmethod
    def from_name(cls, name):
        return cls(GPTConfig({"gpt2": 2, "gpt2-xl": 4}[name]))

    def forward(self, idx):
        return self.h(self.wte(idx))

    def generate(self, idx, max_new_tokens):
        for _ in range(max_new_tokens):
            idx = torch.cat([idx, self(idx)[:, -1:].argmax(-1)], 1)
        return idx


# A module as an argument, as x-transformers has.
class Decoder(nn.Module):
    def __init__(self, dim, depth):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(dim, dim, bias=False) for _ in range(depth)])


class TransformerWrapper(nn.Module):
    def __init__(self, *, num_tokens, attn_layers):
        super().__init__()
        self.token_emb = nn.Embedding(num_tokens, 8)
        self.attn_layers = attn_layers

    def forward(self, x):
        return self.attn_layers.layers(self.token_emb(x))


# None for an argument, as segmentation_models_pytorch has: it downloads weights otherwise.
class Unet(nn.Module):
    def __init__(self, encoder_weights="imagenet", decoder_norm="none", activation=nn.ReLU):
        super().__init__()
        assert encoder_weights is None, "would download"
        assert decoder_norm == "none"
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.act = activation()

    def forward(self, x):
        return self.act(self.stem(x))


# More to do in train mode, as googlenet and YOLOX have.
class GoogLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.norm, self.aux = nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.norm(self.trunk(x))  # a batch of one raises in train mode
        return (x, self.aux(x)) if self.training else x


# Image tokens among the ids, as LLaVA has.
class VisionLanguage(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.sight = nn.Embedding(100, 8), nn.Linear(6, 8)

    def forward(self, input_ids, pixel_values, labels=None):
        assert (input_ids == 63).any() and labels is None
        words = self.words(input_ids)
        return words.masked_scatter((input_ids == 63).unsqueeze(-1), self.sight(pixel_values))


# Lists of images and of targets, as detectors of torchvision have.
class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 4)

    def forward(self, images, targets):
        assert targets[0]["labels"].dtype == torch.int64 and int(targets[0]["labels"][0]) == 1
        return self.stem(torch.stack(images))


def images_and_targets():
    targets = [{"boxes": torch.rand(1, 4), "labels": torch.ones(1, dtype=torch.int64)}]
    return ([torch.rand(8), torch.rand(8)], targets), {}


# Packed sequences.
class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3)

    def forward(self, sequences):
        return self.lstm(sequences)[0].data


def sequences():
    return pack_sequence([torch.rand(3, 4), torch.rand(2, 4)])


# A batch and its number, as modules of Lightning have.
class Lightning(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 3)

    def training_step(self, batch, batch_idx):
        assert self.training
        x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)


# The dictionary of a data loader.
class FromBatch(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Linear(4, width)

    def forward(self, batch, scale=1.0, *, mask=None):
        assert mask is None and scale == 0.5
        return self.net(batch["x"])


def by_keyword():
    return {"batch": {"x": torch.rand(2, 4)}, "scale": 0.5}
"""
TABLE = """
[tool.modelbudget.models.nano]
factory = "zoo:GPT"
positional = [{ factory = "zoo:GPTConfig", arguments = { n_layer = 3 } }]
inputs = "1x5 int64"
macs = 960

[tool.modelbudget.models.gpt2]
factory = "zoo:GPT.from_name"
arguments = { name = "gpt2" }
inputs = "1x5 int64"
macs = 640

[tool.modelbudget.models.gpt2_xl]
like = "gpt2"
arguments = { name = "gpt2-xl" }
macs = 1280

[tool.modelbudget.models.gpt2_half]
like = "gpt2_xl"
dtype = "bfloat16"
weight_bytes = 1600

[tool.modelbudget.models.generating]
like = "gpt2"
method = "generate"
inputs = { idx = "1x5 int64", max_new_tokens = 2 }
macs = 1408

[tool.modelbudget.models.wrapped]
factory = "zoo:TransformerWrapper"
inputs = "2x3 int64"
macs = 768
[tool.modelbudget.models.wrapped.arguments]
num_tokens = 16
attn_layers = { factory = "zoo:Decoder", arguments = { dim = 8, depth = 2 } }

[tool.modelbudget.models.unet]
factory = "zoo:Unet"
positional = ["None"]
arguments = { decoder_norm = "none", activation = { object = "torch.nn:SiLU" } }
inputs = "1x3x8x8"
macs = 6912

[tool.modelbudget.models.googlenet]
factory = "zoo:GoogLeNet"
inputs = "1x8"
macs = 32

[tool.modelbudget.models.googlenet_training]
like = "googlenet"
inputs = "2x8"
train = true
macs = 80

[tool.modelbudget.models.llava]
factory = "zoo:VisionLanguage"
inputs = { input_ids = "1x5 int64 = 63", pixel_values = "5x6", labels = "None" }
macs = 240

[tool.modelbudget.models.detector]
factory = "zoo:Detector"
inputs = "zoo:images_and_targets"
macs = 64

[tool.modelbudget.models.tagger]
factory = "zoo:Tagger"
inputs = "zoo:sequences"
macs = 420

[tool.modelbudget.models.lightning]
factory = "zoo:Lightning"
method = "training_step"
inputs = [["2x8", "2 int64"], 0]
macs = 48

[tool.modelbudget.models.from_loader]
factory = "zoo:FromBatch"
arguments = { width = 3 }
inputs = { batch = { x = "2x4" }, scale = 0.5, mask = "None" }
macs = 24

[tool.modelbudget.models.from_function]
like = "from_loader"
inputs = "zoo:by_keyword"
macs = 24
"""
MACS = {
    "nano": 3 * 5 * 8 * 8,  # layers x tokens x width x width
    "gpt2": 2 * 5 * 8 * 8,
    "gpt2_xl": 4 * 5 * 8 * 8,
    "gpt2_half": 4 * 5 * 8 * 8,
    "generating": 2 * (5 + 6) * 8 * 8,  # a forward on 5 tokens, and one on 6
    "wrapped": 2 * 2 * 3 * 8 * 8,  # layers x batch x tokens x width x width
    "unet": 8 * 8 * 3 * 3 * 3 * 4,  # positions x kernel x channels in and out
    "googlenet": 8 * 4,
    "googlenet_training": 2 * (8 * 4 + 4 * 2),  # with the auxiliary head
    "llava": 5 * 6 * 8,  # image tokens
    "detector": 2 * 8 * 4,
    "tagger": (3 + 2) * 4 * (4 * 3 + 3 * 3),  # steps x gates x (input and hidden products)
    "lightning": 2 * 8 * 3,
    "from_loader": 2 * 4 * 3,
    "from_function": 2 * 4 * 3,
}


@PLAIN_AND_N2
def test_no_model_needs_a_wrapper(pytester: pytest.Pytester, run: Run, mode: list[str]) -> None:
    (pytester.path / "zoo.py").write_text(ZOO)
    result = run(*mode, "--modelbudget-report=json", pyproject=TABLE)
    result.assert_outcomes(passed=len(MACS))
    found = {model.name: model for model in read_report((pytester.path / "modelbudget.json").read_text(), "it").models}
    assert {name: model.measurement.macs for name, model in found.items()} == MACS
    assert {name for name, model in found.items() if model.measurement.mode == "train"} == {
        "googlenet_training",
        "lightning",
    }
    # 4 layers of 8 x 8 weights and 8 biases, and an embedding of 64 x 8, in two bytes each
    assert found["gpt2_half"].measurement.weight_bytes == 2 * (4 * (8 * 8 + 8) + 64 * 8)
