"""Quantized linear and convolution operators, which hold their weights in packed objects.

The MACs are those of the float operator: every output sums k products, (Cin/groups * kernel) for a convolution; None
where a packed weight does not open. Source: the schemas in ATen's ``native/quantized/library.cpp``.
"""

from __future__ import annotations

from math import prod
from typing import Any

from pytest_modelbudget.counting.operators.formulas.convolution import forward, transposed
from pytest_modelbudget.counting.operators.packed import packed_shapes
from pytest_modelbudget.counting.operators.registry import Shape, counts

LINEAR = (
    "linear",
    "linear_relu",
    "linear_leaky_relu",
    "linear_tanh",
    "linear_dynamic",
    "linear_relu_dynamic",
    "linear_dynamic_fp16",
    "linear_relu_dynamic_fp16",
    "linear_with_input_q_dq_qweight_dq_output_fp32",
    "linear_with_input_q_dq_qweight_dq_relu_output_fp32",
    "linear_dynamic_fp16_unpacked_weight",
)
CONVOLUTIONS = tuple(f"quantized::conv{dims}d{kind}" for dims in (1, 2, 3) for kind in ("", "_relu", "_dynamic"))
CONVOLUTIONS += tuple(f"_quantized::conv{dims}d{kind}" for dims in (2, 3) for kind in ("", "_relu"))
TRANSPOSED = tuple(f"quantized::conv_transpose{dims}d{kind}" for dims in (1, 2, 3) for kind in ("", "_dynamic"))
TRANSPOSED += tuple(f"_quantized::conv_transpose{dims}d" for dims in (1, 2))


@counts(
    *(f"quantized::{name}" for name in LINEAR),
    *(f"sparse::qlinear{kind}" for kind in ("", "_relu", "_dynamic", "_relu_dynamic")),
    "_quantized::linear",
    "_quantized::linear_dynamic",
    "_quantized::wrapped_quantized_linear",
    "_quantized::_wrapped_quantized_linear_prepacked",
    "_quantized::wrapped_fbgemm_linear_fp16_weight",
    "aten::_wrapped_quantized_linear_prepacked",
    "aten::fbgemm_linear_int8_weight",
    "aten::fbgemm_linear_int8_weight_fp32_activation",
    "aten::fbgemm_linear_fp16_weight",
    "aten::fbgemm_linear_fp16_weight_fp32_activation",
    "onednn::qlinear_pointwise",
    "onednn::linear_dynamic_fp16",
    "onednn::linear_relu_dynamic_fp16",
)
def linear(x: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count x (..., k) by a packed (n, k) weight: every output sums k products."""
    return prod(out_shape) * x[-1]


@counts("quantized::matmul")
def matmul(a: Shape, b: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count (..., m, k) @ (..., k, n)."""
    return prod(out_shape) * a[-1]


@counts(
    *CONVOLUTIONS,
    "quantized::conv2d_add",
    "quantized::conv2d_add_relu",
    "mkldnn_prepacked::conv2d_run",
    takes_tensors=True,
)
def convolution(x: Any, packed: Any, *args: Any, out: Any, **_: Any) -> int | None:
    """Count a convolution by a packed weight; the ``_add`` forms take the packed weight third."""
    weights = packed_shapes([packed, *args[:1]])
    return forward(weights[0], tuple(out.shape)) if len(weights) == 1 else None


@counts(*TRANSPOSED, takes_tensors=True)
def transposed_convolution(x: Any, packed: Any, *_: Any, **__: Any) -> int | None:
    """Count a transposed convolution by a packed weight."""
    weights = packed_shapes(packed)
    return transposed(tuple(x.shape), weights[0]) if weights else None


@counts(*(f"onednn::qconv{kind}_pointwise" for kind in ("1d", "2d", "3d", "")), takes_tensors=True)
def onednn_convolution(x: Any, x_scale: Any, x_zero: Any, weight: Any, *_: Any, out: Any, **__: Any) -> int:
    """Count oneDNN's quantized convolution; its weight tensor keeps the (Cout, Cin/groups, *kernel) shape."""
    return forward(tuple(weight.shape), tuple(out.shape))
