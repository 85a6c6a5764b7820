"""The bytes of a model's own cache."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import nn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM, StaticCache

from pytest_modelbudget import MeasurementError, measure
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


# One step at 15 cached tokens: of each layer q and out 32 x 32, k and v 32 x 16, and three products of 32 x 36; the
# head 32 x 99; and the scores of 4 heads of width 8 with 16 keys, twice.
STEP = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 36 + 2 * 4 * 8 * 16) + 32 * 99


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("real", [False, True], ids=["shape", "real"])
def test_one_decode_step(real: bool, by_name: bool) -> None:
    inputs: Any = {"input_ids": "1x1 int64"} if by_name else "1x1 int64"
    if real:
        with force_real_run():
            found = measure(llama, inputs=inputs, cache=15)
    else:
        found = measure(llama, inputs=inputs, cache=15)
        assert found == measure(llama, inputs=inputs, cache=15)
        assert measure(llama(), inputs=inputs, cache=15).macs == found.macs
    assert found.macs == STEP
    assert found.cache_bytes == 2 * 2 * 1 * 2 * 16 * 8 * 4
    assert found.modules.calls == 1
    assert str(found.inputs[-1]) == "cache 15 tokens"
    assert found.peak_bytes is not None


def test_the_step_is_as_if_the_cache_had_been_given() -> None:
    cache = DynamicCache(config=CONFIG)
    for layer in range(2):
        cache.update(torch.zeros(1, 2, 15, 8), torch.zeros(1, 2, 15, 8), layer)
    given = {"input_ids": torch.zeros(1, 1, dtype=torch.int64), "past_key_values": cache}
    by_hand = measure(llama, kwargs=given, memory=True)
    found = measure(llama, inputs={"input_ids": "1x1 int64"}, cache=15)
    assert (found.macs, found.peak_bytes, found.cache_bytes) == (by_hand.macs, by_hand.peak_bytes, by_hand.cache_bytes)
    assert found.modules == by_hand.modules


# Of each of 2 layers in 32 x 128, four taps of 64 channels at both their places in five columns, x 64 x (2 + 2 x 16),
# dt 2 x 64, y 64 x 16, and out 64 x 32; and the head.
MAMBA = 2 * (32 * 128 + 64 * 4 * 2 + 64 * 34 + 2 * 64 + 64 * 16 + 64 * 32) + 32 * 99


@pytest.mark.parametrize("real", [False, True], ids=["shape", "real"])
def test_a_cache_is_given_back_by_the_name_under_which_it_was_returned(real: bool) -> None:
    config = MambaConfig(vocab_size=99, hidden_size=32, num_hidden_layers=2)

    def mamba() -> nn.Module:
        return MambaForCausalLM(config)

    if real:
        with force_real_run():
            found = measure(mamba, inputs="1x1 int64", cache=15)
    else:
        found = measure(mamba, inputs="1x1 int64", cache=15)
    assert found.macs == MAMBA


def test_a_model_that_always_returns_its_cache() -> None:
    class Always(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(9, 8)

        def forward(self, ids: torch.Tensor, cache: torch.Tensor | None = None) -> Any:
            new = self.table(ids)
            keys = new if cache is None else torch.cat([cache, new], 1)
            return {"scores": new @ keys.mT, "cache": keys}

    found = measure(Always, inputs="2x1 int64", cache=15)
    assert (found.macs, found.cache_bytes) == (2 * 16 * 8, 2 * 16 * 8 * 4)


class NoCache(nn.Module):
    def forward(self, x: torch.Tensor, use_cache: bool = False) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("model", "inputs", "error", "says"),
    [
        (NoCache, "1x1 int64", MeasurementError, "the model returned none, as past_key_values or cache"),
        (NoCache, "1x1", MeasurementError, 'as in inputs="1x1 int64"'),
        (NoCache, None, TypeError, "cache: give the inputs of one step"),
    ],
)
def test_what_is_no_decode_step(model: Any, inputs: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        measure(model, inputs=inputs, cache=4)


@pytest.mark.parametrize("cache", [0, True, "4", 1.5])
def test_what_is_no_number_of_tokens(cache: Any) -> None:
    with pytest.raises(TypeError, match="cache is how many tokens"):
        measure(llama, inputs="1x1 int64", cache=cache)
    with pytest.raises(TypeError, match="no backward pass"):
        measure(llama, inputs="1x1 int64", cache=4, backward=True)
