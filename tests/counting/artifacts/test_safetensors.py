"""Files of weights: their size without saving, and what their headers say. Truth is what safetensors itself writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from pytest_modelbudget import MeasurementError, measure
from pytest_modelbudget.counting import measure_also
from pytest_modelbudget.counting.artifacts.safetensors import entries_of_state, size_of_file

DTYPES = [getattr(torch, name) for name in ("float32", "float16", "bfloat16", "float64", "int64", "int8", "bool")]
DTYPES += [torch.float8_e4m3fn, torch.float8_e5m2fnuz, torch.float8_e4m3fnuz]


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))


# The header takes 480 bytes of the 688: 36 + 4 * 4 floats of 4 bytes, and the count of batches of 8, are 216 of them.
@pytest.mark.parametrize("model", [small, small()])
@pytest.mark.parametrize("inputs", [None, (2, 8)])
def test_the_size_of_a_file_that_is_not_written(model: Any, inputs: Any) -> None:
    found = measure_also(True, model, inputs=inputs)
    assert (found.safetensors_bytes, found.weight_bytes) == (688, 4 * (8 * 4 + 4 + 4 * 4) + 8)
    assert measure(model, inputs=inputs).safetensors_bytes is None


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)), max_size=12))
def test_it_is_that_of_the_real_file(tensors: dict[str, tuple[torch.dtype, list[int]]]) -> None:
    state = {name: torch.zeros(shape).to(dtype) for name, (dtype, shape) in tensors.items()}
    if any("__metadata__" in name for name in state):
        return
    assert size_of_file(entries_of_state(state)) == len(save(state))


def test_tensors_that_share_storage_are_one_under_their_first_name() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 4, bias=False)
            self.embed = nn.Embedding(4, 4)
            self.embed.weight = self.head.weight

    alone = save({"head.weight": torch.zeros(4, 4)})
    assert measure_also(True, Tied).safetensors_bytes == measure_also(True, Tied()).safetensors_bytes == len(alone)


def test_parts_of_one_storage_are_two_tensors() -> None:
    whole = torch.zeros(10)
    state = {"a": whole[:5], "b": whole[5:], "c": whole[:5]}
    assert size_of_file(entries_of_state(state)) == len(save({"a": whole[:5], "b": whole[5:]}))


def test_what_no_file_can_hold() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.eye(3).to_sparse())

    with pytest.raises(MeasurementError, match="safetensors_bytes: mask is no tensor that a safetensors file can hold"):
        measure_also(True, Sparse())


def test_hooks_of_the_state_are_heard() -> None:
    class Merged(nn.Linear):
        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            weight = super().state_dict()["weight"]
            return {"weight": torch.cat([weight, weight])}

    expected = len(save({"weight": torch.zeros(8, 4)}))
    assert measure_also(True, lambda: Merged(4, 4)).safetensors_bytes == expected
    assert measure_also(True, Merged(4, 4)).safetensors_bytes == expected


def test_a_header_says_all(tmp_path: Path) -> None:
    state = {
        "layers.10.up": torch.zeros(2, 3),
        "layers.9.up": torch.zeros(2, dtype=torch.int8),
        "scale": torch.ones(()),
    }
    save_file(state, tmp_path / "net.safetensors", metadata={"of": "ours"})
    found = measure(tmp_path / "net.safetensors")
    assert (found.params, found.trainable_params, found.weight_bytes) == (6 + 2 + 1, 6 + 2 + 1, 6 * 4 + 2 + 4)
    assert (found.macs, found.run, found.mode, found.named, found.name) == (None, None, None, True, "net")
    assert found.file_bytes == (tmp_path / "net.safetensors").stat().st_size
    assert found.safetensors_bytes == len(save(state))
    assert [one.name for one in found.modules.walk()] == ["", "layers", "layers.9", "layers.10"]
    assert {one.name: one.total.weight_bytes for one in found.modules.walk()}["layers"] == 6 * 4 + 2


def test_an_index_is_its_shards(tmp_path: Path) -> None:
    parts = {"a.safetensors": {"x.w": torch.zeros(4)}, "b.safetensors": {"y.w": torch.zeros(2), "z": torch.zeros(1)}}
    for name, state in parts.items():
        save_file(state, tmp_path / name)
    index = {"weight_map": {key: name for name, state in parts.items() for key in state}}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    found = measure(path, name="llama")
    assert (found.name, found.params, found.weight_bytes) == ("llama", 7, 28)
    assert found.file_bytes == sum(one.stat().st_size for one in tmp_path.iterdir())
    index["weight_map"]["gone"] = "a.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(MeasurementError, match=r"names the tensor gone in a\.safetensors, which does not have it"):
        measure(path)
    index["weight_map"]["gone"] = "c.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(MeasurementError, match=r"c\.safetensors: cannot be read: No such file"):
        measure(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        (2).to_bytes(8, "little") + b"[]",
        (2**62).to_bytes(8, "little") + b"{}",
        (9).to_bytes(8, "little") + b'{"a": {}}',
        (59).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}    ' + b"1234",
        (59).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0.0,4]}}   ' + b"1234",
        (59).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9000],"data_offsets":[0,4]}}  ' + b"1234",
        (10**5).to_bytes(8, "little") + b"[" * 10**5,
        (63).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}        ' + b"1234",
    ],
)
def test_a_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(MeasurementError, match=r"net\.safetensors: is no safetensors file$"):
        measure(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', "[" * 10**5], ids=len)
def test_an_index_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(MeasurementError, match="is no index of safetensors files"):
        measure(tmp_path / "model.safetensors.index.json")


def test_weights_are_not_run(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "net.safetensors")
    asked: list[dict[str, Any]] = [{"inputs": (1, 3)}, {"train": True}, {"dtype": "bfloat16"}, {"ranks": 2}]
    for one in asked:
        with pytest.raises(TypeError, match="holds weights, and nothing to run: give no inputs, train, dtype, ranks"):
            measure(tmp_path / "net.safetensors", **one)
    with pytest.raises(MeasurementError, match="cannot be read: No such file"):
        measure(tmp_path / "other.safetensors")
