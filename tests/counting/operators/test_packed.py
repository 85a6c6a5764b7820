"""Dynamically quantized layers: their weights are opened and counted, or the operator is unknown; never 0."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure
from pytest_modelbudget.counting.operators import packed

pytestmark = pytest.mark.filterwarnings("ignore")


class Recurrent(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x)[0]


def quantized(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    kinds = {nn.LSTM, nn.GRU, nn.Linear, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    return torch.ao.quantization.quantize_dynamic(model, kinds, dtype=dtype)  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (lambda: nn.LSTM(5, 6), (4, 3, 5), 4 * 3 * 4 * 6 * (5 + 6)),  # steps * N * gates * hidden * (input + hidden)
        (lambda: nn.GRU(5, 6), (4, 3, 5), 4 * 3 * 3 * 6 * (5 + 6)),
        (lambda: nn.LSTM(5, 6, 2), (4, 3, 5), 4 * 3 * 4 * 6 * (5 + 6 + 6 + 6)),  # the second layer's input is 6 wide
        (lambda: nn.GRU(5, 6, bidirectional=True), (4, 3, 5), 2 * 4 * 3 * 3 * 6 * (5 + 6)),
        (lambda: nn.LSTM(5, 6, batch_first=True), (3, 4, 5), 4 * 3 * 4 * 6 * (5 + 6)),
    ],
)
def test_recurrent_layers(layer: Any, shape: tuple[int, ...], macs: int, dtype: torch.dtype) -> None:
    found = measure(quantized(Recurrent(layer()), dtype), torch.ones(shape))
    assert (found.macs, found.unknown) == (macs, ())


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_linear_layers(dtype: torch.dtype) -> None:
    assert measure(quantized(nn.Sequential(nn.Linear(5, 6)), dtype), torch.ones(3, 5)).macs == 3 * 5 * 6


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_cells(cell: Any, gates: int) -> None:
    found = measure(quantized(Recurrent(cell(5, 6)), torch.qint8), torch.ones(3, 5))
    assert (found.macs, found.unknown) == (3 * gates * 6 * (5 + 6), ())


def test_packed_sequences() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(5, 6)

        def forward(self, x: torch.Tensor) -> Any:
            return self.layer(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2, 1])))[0].data

    found = measure(quantized(Packed(), torch.qint8), torch.ones(4, 3, 5))
    assert found.macs == (4 + 2 + 1) * 4 * 6 * (5 + 6)  # only the steps that there are


def _closed(holder: Any) -> Any:
    raise RuntimeError("it does not open")


def test_weights_that_do_not_open_make_the_operator_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    model = quantized(Recurrent(nn.LSTM(5, 6)), torch.qint8)
    monkeypatch.setattr(packed, "_inside", _closed)
    found = measure(model, torch.ones(4, 3, 5))
    assert {cost.name for cost in found.unknown} == {"aten::quantized_lstm", "weights::CellParamsBase"}
    assert not found.complete
