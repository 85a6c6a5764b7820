"""The bytes of a model's own cache."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import nn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache

from pytest_modelbudget import measure
from pytest_modelbudget.counting.measuring import force_real_run

CONFIG = LlamaConfig(
    vocab_size=99, hidden_size=32, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8,
)  # fmt: skip


def llama() -> nn.Module:
    return LlamaForCausalLM(CONFIG)  # type: ignore[no-any-return]


# keys and values x layers x batch x heads x tokens x width x bytes
@pytest.mark.parametrize("real", [False, True])
def test_of_a_language_model(real: bool) -> None:
    how: dict[str, Any] = {"inputs": "3x8 int64", "memory": True, "dtype": "bfloat16"}
    if real:
        with force_real_run():
            found = measure(llama, **how)
    else:
        found = measure(llama, **how)
    assert found.cache_bytes == 2 * 2 * 3 * 2 * 8 * 8 * 2 == 3072
    assert measure(llama, inputs="3x8 int64", memory=True, backward=True).cache_bytes == 3072 * 2
    assert measure(llama, inputs="3x8 int64").cache_bytes is None


def test_a_decode_step_adds_a_token() -> None:
    cache = DynamicCache(config=CONFIG)
    for layer in range(2):
        cache.update(torch.zeros(1, 2, 15, 8), torch.zeros(1, 2, 15, 8), layer)
    given = {"input_ids": torch.zeros(1, 1, dtype=torch.int64), "past_key_values": cache}
    assert measure(llama, kwargs=given, memory=True).cache_bytes == 2 * 2 * 1 * 2 * 16 * 8 * 4
    assert cache.get_seq_length() == 15


def test_a_static_cache_counts_what_it_has_allocated() -> None:
    cache = StaticCache(config=CONFIG, max_cache_len=64)
    given = {"input_ids": torch.zeros(1, 8, dtype=torch.int64), "past_key_values": cache}
    lengths = 2 * 8  # one int64 a layer: how many tokens it holds
    assert measure(llama(), kwargs=given, memory=True).cache_bytes == 2 * 2 * 1 * 2 * 64 * 8 * 4 + lengths


Out = namedtuple("Out", ["y", "cache"])


class Remembers(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor, cache: Any = None) -> Any:
        new = x.repeat(2)  # 8 floats
        if self.kind == "argument":
            cache["keys"] = new
            return x
        return {"dict": {"y": x, "past_key_values": (new, new)}, "names": Out(x, [new]), "none": (x, new)}[self.kind]


@pytest.mark.parametrize(("kind", "nbytes"), [("dict", 32), ("names", 32), ("argument", 32), ("none", None)])
def test_outputs_and_arguments_of_that_name(kind: str, nbytes: int | None) -> None:
    given = (torch.zeros(4), {}) if kind == "argument" else (torch.zeros(4),)
    assert measure(Remembers(kind), given, memory=True).cache_bytes == nbytes
