"""Recurrent layers. Each step multiplies the input and the hidden state by the gates' stacked weights.

An LSTM has 4 gates, a GRU 3, a plain RNN 1: steps * batch * (gates*hidden*input + gates*hidden*hidden), with
proj_size P: gates*hidden*P for the second term and P*hidden for the projection. That is the number of elements of the
2-D weights, once per step and sequence. Source: the weights' shapes in the documentation of ``torch.nn.LSTM``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pytest_modelbudget.counting.operators.packed import packed_shapes
from pytest_modelbudget.counting.operators.registry import Shape, counts


def steps(x: Shape, batch_sizes: Sequence[int] = ()) -> int:
    """Return the number of (step, sequence) pairs: T*B of a (T, B, input) tensor, or the sum of the batch sizes."""
    return sum(batch_sizes) if batch_sizes else prod(x[:-1])


def matrices(weights: Sequence[Shape]) -> int:
    """Return the number of elements of all 2-D weights; biases are 1-D."""
    return sum(prod(weight) for weight in weights if len(weight) == 2)


@counts("aten::mkldnn_rnn_layer")
def mkldnn_rnn_layer(
    x: Shape,
    w_ih: Shape,
    w_hh: Shape,
    b_ih: Any,
    b_hh: Any,
    hx: Any,
    cx: Any,
    reverse: bool,
    sizes: Any,
    *_: Any,
    **__: Any,
) -> int:
    """Count one direction of one LSTM layer."""
    return steps(x, sizes) * matrices((w_ih, w_hh))


@counts("aten::mkldnn_rnn_layer_backward")
def mkldnn_rnn_layer_backward(x: Shape, w_ih: Shape, w_hh: Shape, *_: Any, **__: Any) -> int:
    """Count the gradients of inputs, states and weights, all of which this kernel computes: twice the forward."""
    return 2 * steps(x) * matrices((w_ih, w_hh))


@counts("aten::_cudnn_rnn")
def cudnn_rnn(
    x: Shape,
    weights: Sequence[Shape],
    stride: int,
    buffer: Any,
    hx: Any,
    cx: Any,
    mode: int,
    hidden: int,
    proj: int,
    layers: int,
    batch_first: bool,
    dropout: float,
    train: bool,
    bidirectional: bool,
    sizes: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    """Count all layers and directions of an RNN, LSTM or GRU."""
    return steps(x, sizes) * matrices(weights)


@counts("aten::_cudnn_rnn_backward", "aten::miopen_rnn_backward")
def cudnn_rnn_backward(x: Shape, weights: Sequence[Shape], *args: Any, **_: Any) -> int:
    """Count dX (always computed) and dW (bit 3 of the mask); the arguments end in batch_sizes, state, reserve, mask."""
    sizes, mask = args[-4], args[-1]
    return steps(x, sizes) * matrices(weights) * (1 + int(mask[3]))


@counts("aten::miopen_rnn")
def miopen_rnn(x: Shape, weights: Sequence[Shape], *args: Any, **_: Any) -> int:
    """Count all layers and directions; the arguments end in batch_sizes, dropout_state."""
    return steps(x, args[-2]) * matrices(weights)


@counts("aten::_lstm_mps")
def lstm_mps(x: Shape, hx: Sequence[Shape], weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    """Count all layers and directions of an LSTM."""
    return steps(x) * matrices(weights)


@counts("aten::lstm_mps_backward")
def lstm_mps_backward(
    gy: Any,
    gh: Any,
    gc: Any,
    z: Any,
    cells: Any,
    x: Shape,
    out: Any,
    hx: Any,
    weights: Sequence[Shape],
    *_: Any,
    **__: Any,
) -> int:
    """Count the gradients of inputs and weights: twice the forward."""
    return 2 * steps(x) * matrices(weights)


@counts("aten::quantized_lstm", "aten::quantized_gru", takes_tensors=True)
def quantized_rnn(x: Any, second: Any, third: Any, *args: Any, **_: Any) -> int | None:
    """Count all layers and directions of a dynamically quantized LSTM or GRU, whose weights are packed objects.

    The packed form takes (data, batch_sizes, hx, params, ...), the padded one (input, hx, params, ...). Each layer and
    direction is one cell with the weights of its input and of its hidden state.
    """
    cells = args[0] if args and isinstance(args[0], (list, tuple)) else third
    weights = [shape for cell in cells for shape in packed_shapes(cell)]
    if not cells or len(weights) != 2 * len(cells):
        return None
    return steps(tuple(x.shape)) * matrices(weights)


@counts(
    "aten::quantized_lstm_cell",
    "aten::quantized_gru_cell",
    "aten::quantized_rnn_relu_cell",
    "aten::quantized_rnn_tanh_cell",
)
def quantized_cell(x: Shape, hx: Any, w_ih: Shape, w_hh: Shape, *_: Any, **__: Any) -> int:
    """Count one step of a quantized cell."""
    return prod(x[:-1]) * matrices((w_ih, w_hh))


@counts(
    "quantized::quantized_lstm_cell_dynamic",
    "quantized::quantized_gru_cell_dynamic",
    "quantized::quantized_rnn_relu_cell_dynamic",
    "quantized::quantized_rnn_tanh_cell_dynamic",
    takes_tensors=True,
)
def quantized_cell_dynamic(x: Any, hx: Any, w_ih: Any, w_hh: Any, *_: Any, **__: Any) -> int | None:
    """Count one step of a dynamically quantized cell, whose weights are packed objects."""
    weights = [*packed_shapes(w_ih), *packed_shapes(w_hh)]
    return int(prod(x.shape[:-1])) * matrices(weights) if len(weights) == 2 else None
