"""Formulas of operators that this machine may not run, checked on shapes; the conformance suite checks all the others.

Every expected value is derived by hand in its line.
"""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch

from pytest_modelbudget.counting.operators.registry import SparseShape, find_formula, shape_of

B, H, L, S, E, V = 2, 3, 5, 7, 4, 6  # batch, heads, queries, keys, width, value width
Q, K, VALUE = (B, H, L, E), (B, H, S, E), (B, H, S, V)
ATTENTION = B * H * L * S * (E + V)  # scores: L*S sums of E; values: L*V sums of S

X, W, Y = (2, 6, 8, 8), (10, 3, 3, 3), (2, 10, 6, 6)  # groups=2, no padding
CONV = prod(Y) * 3 * 9  # every output sums Cin/groups * kernel
TW, TY = (6, 5, 3, 3), (2, 10, 10, 10)
TRANSPOSED = prod(X) * 5 * 9  # every input is spread over Cout/groups * kernel

T, N, IN, HID = 5, 2, 3, 4  # steps, batch, input, hidden
LSTM = T * N * (4 * HID * IN + 4 * HID * HID)  # 4 gates, of input and of state
IH, HH = (4 * HID, IN), (4 * HID, HID)

SHAPES: list[tuple[str, tuple[Any, ...], Any, int]] = [
    ("aten::_scaled_mm", ((3, 4), (4, 5), (), ()), (3, 5), 3 * 4 * 5),
    ("aten::_scaled_mm_v2", ((3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    ("aten::_addmm_activation", ((5,), (3, 4), (4, 5)), (3, 5), 3 * 4 * 5),
    ("aten::addbmm", ((3, 5), (2, 3, 4), (2, 4, 5)), (3, 5), 2 * 3 * 4 * 5),
    ("aten::mm", (SparseShape((3, 4), 6), (4, 5)), (3, 5), 6 * 5),  # 6 stored elements meet 5 columns
    ("aten::mm", ((3, 4), SparseShape((4, 5), 6)), (3, 5), 3 * 6),  # 6 stored elements meet 3 rows
    ("aten::mv", (SparseShape((3, 4), 6), (4,)), (3,), 6),
    ("aten::addmv", ((3,), (3, 4), (4,)), (3,), 3 * 4),
    ("aten::sparse_sampled_addmm", (SparseShape((3, 5), 2), (3, 4), (4, 5)), (3, 5), 2 * 4),
    ("aten::linear", ((2, 3, 4), (5, 4)), (2, 3, 5), 2 * 3 * 4 * 5),
    ("aten::linear_backward", ((3, 4), (3, 5), (5, 4), (True, True, True)), None, 2 * 3 * 4 * 5),
    ("aten::linear_backward", ((3, 4), (3, 5), (5, 4), (False, True, True)), None, 3 * 4 * 5),
    ("aten::mkldnn_linear_backward_input", ((3, 4), (3, 5), (5, 4)), (3, 4), 3 * 4 * 5),
    ("aten::mkldnn_linear_backward_weights", ((3, 5), (3, 4), (5, 4), True), None, 3 * 4 * 5),
    ("aten::matmul_backward", ((2, 3, 5), (2, 3, 4), (4, 5), (True, False)), None, 2 * 3 * 4 * 5),
    ("aten::_foreach_mm", (((3, 4), (2, 3)), ((4, 5), (3, 2))), None, 3 * 4 * 5 + 2 * 3 * 2),
    ("inductor::_mm_plus_mm", ((3, 4), (4, 5), (3, 2), (2, 5)), (3, 5), 3 * 4 * 5 + 3 * 2 * 5),
    ("aten::_grouped_mm", ((9, 4), (2, 4, 5), (2,)), (9, 5), 9 * 4 * 5),  # each of 9 rows meets one 4x5 matrix
    ("aten::_grouped_mm", ((2, 3, 4), (2, 4, 5)), (2, 3, 5), 2 * 3 * 4 * 5),
    ("aten::_grouped_mm", ((3, 9), (9, 5), (2,)), (2, 3, 5), 3 * 9 * 5),  # 9 columns split over 2 groups of 3x5
    ("aten::_scaled_grouped_mm", ((9, 4), (2, 4, 5), (), ()), (9, 5), 9 * 4 * 5),
    ("aten::_euclidean_dist", ((3, 4), (5, 4)), (3, 5), 3 * 5 * 4),
    ("aten::_cdist_forward", ((3, 4), (5, 4), 2.0, None), (3, 5), 3 * 5 * 4),
    ("aten::_cdist_forward", ((3, 4), (5, 4), 1.0, None), (3, 5), 0),
    ("aten::_cdist_backward", ((3, 5), (3, 4), (5, 4), 2.0, (3, 5)), (3, 4), 3 * 5 * 4),
    ("aten::_weight_int8pack_mm", ((3, 4), (5, 4), (5,)), (3, 5), 3 * 4 * 5),
    ("aten::_weight_int4pack_mm", ((3, 4), (1, 1, 1, 1), 4, (1,)), (3, 5), 3 * 4 * 5),
    ("aten::_weight_int4pack_mm_for_cpu", ((3, 4), (5, 2), 4, (1,)), (3, 5), 3 * 4 * 5),
    ("aten::_dyn_quant_matmul_4bit", ((3, 4), (9,), 4, 4, 5), (3, 5), 3 * 4 * 5),
    ("aten::_mixed_dtypes_linear", ((3, 4), (4, 5), (5,)), (3, 5), 3 * 4 * 5),
    ("aten::_sparse_semi_structured_linear", ((3, 4), (5, 2), (5, 1)), (3, 5), 3 * 4 * 5),
    ("aten::_sparse_semi_structured_mm", ((3, 2), (3, 1), (4, 5)), (3, 5), 3 * 4 * 5),  # 2 of 4 columns are stored
    ("aten::_sparse_semi_structured_addmm", ((5,), (3, 2), (3, 1), (4, 5)), (3, 5), 3 * 4 * 5),
    ("aten::_cslt_sparse_mm", ((9,), (4, 5)), (3, 5), 3 * 4 * 5),
    ("quantized::linear", ((3, 4), None, 1.0, 0), (3, 5), 3 * 4 * 5),
    ("quantized::matmul", ((2, 3, 4), (2, 4, 5), 1.0, 0), (2, 3, 5), 2 * 3 * 4 * 5),
    ("onednn::qlinear_pointwise", ((3, 4), 1.0, 0, (4, 5)), (3, 5), 3 * 4 * 5),
    ("aten::convolution", (X, W, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 2), Y, CONV),
    ("aten::convolution", (X, TW, None, [1, 1], [0, 0], [1, 1], True, [0, 0], 2), TY, TRANSPOSED),
    ("aten::convolution_backward", (Y, X, W, None, [1], [0], [1], False, [0], 2, (True, True, True)), None, 2 * CONV),
    ("aten::convolution_backward", (Y, X, W, None, [1], [0], [1], False, [0], 2, (False, True, True)), None, CONV),
    (
        "aten::convolution_backward",
        (TY, X, TW, None, [1], [0], [1], True, [0], 2, (True, False, True)),
        None,
        TRANSPOSED,
    ),
    ("aten::convolution_backward_overrideable", (Y, X, W, [1], [0], [1], False, [0], 2, (1, 1, 1)), None, 2 * CONV),
    ("aten::cudnn_convolution", (X, W, [0], [1], [1], 2, False, False, True), Y, CONV),
    ("aten::cudnn_convolution_add_relu", (X, W, Y, 1, None, [1], [0], [1], 2), Y, CONV),
    ("aten::mkldnn_convolution", (X, W, None, [0], [1], [1], 2), Y, CONV),
    ("aten::cudnn_convolution_transpose", (X, TW, [0], [0], [1], [1], 2, False, False, True), TY, TRANSPOSED),
    ("aten::slow_conv_transpose2d", (X, TW, [3, 3]), TY, TRANSPOSED),
    ("aten::_slow_conv2d_backward", (Y, X, W, [3, 3], [1], [0], (True, False, True)), None, CONV),
    ("aten::_slow_conv2d_backward", (Y, X, W, [3, 3], [1], [0]), None, 2 * CONV),
    ("aten::mps_convolution_backward", (X, Y, W, [0], [1], [1], 2, (True, True, True)), None, 2 * CONV),
    (
        "aten::mps_convolution_transpose_backward",
        (X, TY, TW, [0], [0], [1], [1], 2, (True, True)),
        None,
        2 * TRANSPOSED,
    ),
    ("aten::conv_tbc", ((5, 2, 3), (4, 3, 6), (6,), 0), (2, 2, 6), 2 * 2 * 6 * 4 * 3),
    ("aten::conv_tbc_backward", ((2, 2, 6), (5, 2, 3), (4, 3, 6), (6,), 0), None, 2 * 2 * 2 * 6 * 4 * 3),
    ("aten::_scaled_dot_product_flash_attention", (Q, K, VALUE), None, ATTENTION),
    ("aten::_scaled_dot_product_cudnn_attention", (Q, (B, 1, S, E), (B, 1, S, V)), None, ATTENTION),  # shared heads
    ("aten::_scaled_dot_product_efficient_attention_backward", ((B, H, L, V), Q, K, VALUE), None, 2 * ATTENTION),
    ("aten::mkldnn_rnn_layer", ((T, N, IN), IH, HH, (16,), (16,), (), (), False, [], 2), None, LSTM),
    ("aten::mkldnn_rnn_layer_backward", ((T, N, IN), IH, HH), None, 2 * LSTM),
    (
        "aten::_cudnn_rnn",
        ((T, N, IN), (IH, HH, (16,), (16,)), 4, None, (), (), 2, HID, 0, 1, False, 0.0, True, False, [], None),
        None,
        LSTM,
    ),
    (
        "aten::_cudnn_rnn",  # packed: 3 + 2 + 1 steps instead of 5 * 2
        ((6, IN), (IH, HH, (16,), (16,)), 4, None, (), (), 2, HID, 0, 1, False, 0.0, True, False, [3, 2, 1], None),
        None,
        6 * (4 * HID * IN + 4 * HID * HID),
    ),
    (
        "aten::_cudnn_rnn_backward",
        (
            (T, N, IN),
            (IH, HH),
            4,
            (),
            (),
            (),
            (),
            (),
            (),
            (),
            2,
            HID,
            0,
            1,
            False,
            0.0,
            True,
            False,
            [],
            None,
            (),
            (1, 1, 1, 1),
        ),
        None,
        2 * LSTM,
    ),
    ("aten::miopen_rnn", ((T, N, IN), (IH, HH), 4, (), (), 2, HID, 1, False, 0.0, True, False, [], None), None, LSTM),
    ("aten::_lstm_mps", ((T, N, IN), ((), ()), (IH, HH, (16,), (16,)), True, 1, 0.0, True, False, False), None, LSTM),
    ("aten::lstm_mps_backward", ((), (), (), (), (), (T, N, IN), (), (), (IH, HH)), None, 2 * LSTM),
    ("aten::_scaled_addmm", ((2, 4), (2, 3), (3, 4), [(1,)], [0], [0], [(1,)], [0], [0]), (2, 4), 2 * 3 * 4),
    ("aten::quantized_lstm_cell", ((N, IN), ((), ()), IH, HH), None, N * (4 * HID * IN + 4 * HID * HID)),
]


@pytest.mark.parametrize(("name", "args", "out", "macs"), SHAPES, ids=lambda value: value if type(value) is str else "")
def test_formula_on_shapes(name: str, args: tuple[Any, ...], out: Any, macs: int) -> None:
    formula = find_formula(name)
    assert formula is not None
    assert formula.function(*args, out_shape=out) == macs


def zeros(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def cumulative(*lengths: int) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).int()


DENSE = zeros(B, L, H, E), zeros(B, S, H, E), zeros(B, S, H, V)
PACKED = zeros(9, H, E), zeros(12, H, E), zeros(12, H, V), cumulative(4, 5), cumulative(5, 7)
VARLEN = H * (4 * 5 + 5 * 7) * (E + V)  # sequence by sequence

TENSORS: list[tuple[str, tuple[Any, ...], int]] = [
    ("aten::_flash_attention_forward", (*DENSE, None, None), ATTENTION),
    ("aten::_flash_attention_forward", PACKED, VARLEN),
    ("aten::_efficient_attention_forward", (*DENSE, None, None, None), ATTENTION),
    ("aten::_efficient_attention_forward", (*PACKED[:3], None, *PACKED[3:]), VARLEN),
    ("aten::_cudnn_attention_forward", (*(x.transpose(1, 2) for x in DENSE), None, None, None), ATTENTION),
    ("aten::_cudnn_attention_forward", (*PACKED[:3], None, *PACKED[3:]), VARLEN),
    ("aten::_flash_attention_forward_no_dropout_inplace", (zeros(9, H, V), *PACKED, 5, 7), VARLEN),
    ("aten::_cudnn_attention_forward_no_dropout_inplace", (zeros(9, H, V), *PACKED, 5, 7), VARLEN),
    ("aten::_flash_attention_backward", (None, *PACKED[:3], None, None, *PACKED[3:]), 2 * VARLEN),
    ("aten::_efficient_attention_backward", (None, *DENSE, None, None, None, None), 2 * ATTENTION),
    ("aten::_cudnn_attention_backward", (None, *PACKED[:3], *[None] * 5, *PACKED[3:]), 2 * VARLEN),
    ("onednn::qconv2d_pointwise", (zeros(*X), 1.0, 0, zeros(*W)), CONV),
]


@pytest.mark.parametrize(("name", "args", "macs"), TENSORS, ids=lambda value: value if type(value) is str else "")
def test_formula_on_tensors(name: str, args: tuple[Any, ...], macs: int) -> None:
    formula = find_formula(name)
    assert formula is not None
    assert formula.takes_tensors
    assert formula.function(*args, out=zeros(*Y)) == macs


@pytest.mark.filterwarnings("ignore:Sparse")
def test_the_shape_of_a_sparse_tensor_knows_its_stored_elements() -> None:
    dense = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])
    for sparse in (dense.to_sparse(), dense.to_sparse_csr(), dense.to_sparse_csc()):
        shape = shape_of(sparse)
        assert (shape, shape.stored) == ((2, 3), 3)
    assert shape_of(dense.to_sparse_bsr((2, 1))).stored == 4  # two stored blocks of 2x1


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")
def test_the_shape_of_a_tensor_of_onednn() -> None:
    assert shape_of(torch.ones(2, 3).to_mkldnn()) == (2, 3)


def test_a_sparse_by_sparse_product_counts_the_pairs_that_meet() -> None:
    a = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).to_sparse()  # columns hold 1, 2, 0
    b = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]).to_sparse()  # rows hold 1, 2, 2
    formula = find_formula("aten::_sparse_sparse_matmul")
    assert formula is not None
    assert formula.function(a, b, out=None) == 1 * 1 + 2 * 2 + 0 * 2


def test_an_in_place_operator_has_the_formula_of_its_functional_form() -> None:
    assert find_formula("aten::addmm_") is find_formula("aten::addmm")
    assert find_formula("aten::relu_") is None
