"""Weights of every kind: logical params, and the bytes of the distinct plain storages behind them.

Net is Linear(64, 128), ReLU, Linear(128, 32): 8192 + 4096 = 12 288 weights and 160 biases, 12 448 params; a row costs
12 288 MACs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map

from pytest_modelbudget import measure
from pytest_modelbudget.counting import observe

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns that quantization moves to torchao
MACS = 12288
quantization = torch.ao.quantization


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32)).eval()


def row(size: int = 64) -> torch.Tensor:
    return torch.ones(1, size)


def every_way(model: nn.Module, *inputs: torch.Tensor) -> set[tuple[Any, ...]]:
    """Return params, bytes and MACs as measured without inputs, with inputs, and by observing."""
    weights, whole = measure(model), measure(model, inputs)
    with observe() as observed, torch.no_grad():
        model(*inputs)
    (seen,) = observed.measurements
    assert weights.unknown == whole.unknown == seen.unknown == ()
    return {
        (one.params, one.weight_bytes, whole.macs if one is weights else one.macs) for one in (weights, whole, seen)
    }


def dynamic(dtype: Any = torch.qint8) -> nn.Module:
    return quantization.quantize_dynamic(net(), {nn.Linear}, dtype=dtype)  # type: ignore[no-any-return]


def per_channel() -> nn.Module:
    qconfig = {nn.Linear: quantization.per_channel_dynamic_qconfig}
    return quantization.quantize_dynamic(net(), qconfig)  # type: ignore[no-any-return]


def frozen(model: nn.Module) -> nn.Module:
    return torch.jit.freeze(torch.jit.script(model))


def loaded(model: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.jit.save(model, stream)
    stream.seek(0)
    return torch.jit.load(stream)


@pytest.mark.parametrize(
    ("build", "weight_bytes"),
    [
        (net, 4 * 12448),
        (dynamic, 12288 + 4 * 160),  # the scale of a tensor is a number
        (lambda: dynamic(torch.float16), 2 * 12288 + 4 * 160),
        (per_channel, 12288 + 4 * 160 + (8 + 8) * 160),  # a scale and a zero point for each of 128 + 32 channels
        (lambda: torch.jit.script(net()), 4 * 12448),
        (lambda: torch.jit.script(dynamic()), 12288 + 4 * 160),
        (lambda: loaded(torch.jit.script(dynamic())), 12288 + 4 * 160),
        (lambda: frozen(net()), 4 * 12448),
        (lambda: frozen(dynamic()), 12288 + 4 * 160),
        (lambda: loaded(frozen(net())), 4 * 12448),
        (lambda: quantized(Int8), 12288 + 4 * 160 + (4 + 1) * 160),  # as torchao's: scales, and zero points of one byte
        (lambda: quantized(Float8), 12288 + 4 * 160 + 4 * 160),
    ],
    ids=[
        "float",
        "int8",
        "float16",
        "per_channel",
        "script",
        "script_int8",
        "loaded",
        "frozen",
        "frozen_int8",
        "loaded_frozen",
        "ao_int8",
        "ao_float8",
    ],
)
def test_quantized_and_frozen_models(build: Callable[[], nn.Module], weight_bytes: int) -> None:
    assert every_way(build(), row()) == {(12448, weight_bytes, MACS)}
    built = measure(build, row())
    assert (built.params, built.weight_bytes, built.macs) == (12448, weight_bytes, MACS)


class Wrapper(torch.Tensor):
    """Packed values and what scales them, in the form in which torch's compiler takes tensors apart."""

    names: tuple[str, ...]

    @staticmethod
    def __new__(cls, *parts: torch.Tensor) -> Wrapper:
        return torch.Tensor._make_wrapper_subclass(cls, parts[0].shape, dtype=torch.float32, device=parts[0].device)

    def __init__(self, *parts: torch.Tensor) -> None:
        for name, part in zip(self.names, parts, strict=True):
            setattr(self, name, part)

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return [*self.names], None

    def real(self) -> torch.Tensor:
        return self.values.float() * self.scales[:, None]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.detach.default:
            return cls(*[getattr(args[0], name) for name in cls.names])
        args, kwargs = tree_map(lambda one: one.real() if isinstance(one, cls) else one, (args, kwargs or {}))
        return func(*args, **kwargs)


class Int8(Wrapper):
    names = ("values", "scales", "zero_points")


class Float8(Wrapper):
    names = ("values", "scales")


def quantized(kind: type[Wrapper]) -> nn.Module:
    model = net()
    for layer in (model[0], model[2]):
        rows = layer.weight.shape[0]
        values = layer.weight.detach().to(torch.int8 if kind is Int8 else torch.float8_e4m3fn)
        parts = [values, torch.ones(rows), torch.zeros(rows, dtype=torch.int8)][: len(kind.names)]
        layer.weight = nn.Parameter(kind(*parts), requires_grad=False)
    return model


class State:
    def __init__(self, shape: torch.Size) -> None:
        self.shape, self.absmax = shape, torch.ones(shape.numel() // 64)


class FourBits(nn.Parameter):
    """As in bitsandbytes: two weights in a byte, and an object beside that knows the shape and the scales."""

    def __new__(cls, shape: torch.Size) -> FourBits:
        data = torch.zeros(shape.numel() // 2, 1, dtype=torch.uint8)
        self = torch.Tensor._make_subclass(cls, data, False)
        self.quant_state = State(shape)
        return self


class Linear4bit(nn.Linear):
    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs)
        self.weight = FourBits(self.weight.shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, torch.ones(self.weight.quant_state.shape), self.bias)


def test_parameters_of_four_bits_count_the_elements_that_they_stand_for() -> None:
    """2 * 64 * 128 weights, half a byte each, a float32 scale for 64 of them, and 128 + 64 biases."""
    model = nn.Sequential(Linear4bit(64, 128), Linear4bit(128, 64))
    assert every_way(model, row()) == {(16384 + 192, 8192 + 4 * 256 + 4 * 192, 16384)}


def test_a_quantized_recurrent_layer() -> None:
    """4 * 16 * (8 + 16) = 1536 weights of one byte, and 2 * 64 biases, which two objects share."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(8, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0]

    model = quantization.quantize_dynamic(Model(), {nn.LSTM}, dtype=torch.qint8)
    assert every_way(model, torch.ones(3, 2, 8)) == {(1536 + 128, 1536 + 4 * 128, 3 * 2 * 1536)}


def test_a_statically_quantized_convolution() -> None:
    """8 * 3 * 9 = 216 weights with a scale and zero point for 8 channels, 8 biases; scale and zero point of the input."""
    model = nn.Sequential(quantization.QuantStub(), nn.Conv2d(3, 8, 3), quantization.DeQuantStub()).eval()
    model.qconfig = quantization.get_default_qconfig("x86")
    prepared = quantization.prepare(model)
    prepared(torch.ones(1, 3, 8, 8))
    converted = quantization.convert(prepared)
    weight_bytes = 216 + 8 * (8 + 8) + 4 * 8 + (4 + 8)
    assert every_way(converted, torch.ones(1, 3, 8, 8)) == {(216 + 8, weight_bytes, 36 * 216)}


def test_a_slice_is_as_large_as_the_storage_that_it_keeps() -> None:
    class Slices(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.randn(100, 64)
            self.first, self.second = nn.Parameter(whole[:10]), nn.Parameter(whole[10:20])
            self.register_buffer("expanded", torch.zeros(1).expand(1000))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.first.T

    assert every_way(Slices(), row()) == {(2 * 640, 4 * 6400 + 4, 640)}


def test_a_slice_is_as_large_in_a_factory() -> None:
    class Slice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Parameter(torch.randn(100, 64)[:10])

    assert measure(Slice()).weight_bytes == 4 * 6400
    assert measure(Slice).weight_bytes == 4 * 6400


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_sparse_weights_take_their_indices_and_values(layout: torch.layout) -> None:
    at, starts, values = torch.arange(64), torch.arange(65), torch.ones(64)
    model = nn.Module()
    if layout is torch.sparse_coo:
        weight = torch.sparse_coo_tensor(torch.stack([at, at]), values, check_invariants=False)
    else:
        weight = torch.sparse_compressed_tensor(starts, at, values, layout=layout)
    model.weight = nn.Parameter(weight)
    found = measure(model)
    indices = 2 * 64 if layout is torch.sparse_coo else 64 + 65
    assert (found.params, found.weight_bytes) == (64 * 64, 4 * 64 + 8 * indices)


def test_packed_weights_that_do_not_open_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_modelbudget.counting.operators import packed

    def closed(_: Any) -> Any:
        raise RuntimeError("it does not open")

    monkeypatch.setattr(packed, "_inside", closed)
    for found in (measure(dynamic()), measure(dynamic(), row())):
        assert ("weights::LinearPackedParamsBase", "0._packed_params") in [
            (one.name, one.module) for one in found.unknown
        ]


@pytest.mark.parametrize("mesh", [2], indirect=True)
def test_a_distributed_tensor_counts_the_shard_of_this_rank(mesh: Any) -> None:
    """Both weights and the bias of the first are halved: (64 * 128 + 128 + 128 * 32) / 2 + 32 params."""
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    def sharded() -> nn.Module:
        return parallelize_module(net(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})

    assert every_way(sharded(), row()) == {(6240, 4 * 6240, MACS // 2)}
    assert (measure(sharded).params, measure(sharded).weight_bytes) == (6240, 4 * 6240)
    built = measure(sharded, row())
    assert (built.params, built.trainable_params, built.weight_bytes) == (6240, 6240, 4 * 6240)
