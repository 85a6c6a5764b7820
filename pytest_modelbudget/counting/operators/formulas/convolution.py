"""Convolutions. Forward: output positions x kernel x Cin/groups x Cout; transposed: input positions instead.

Weights are (Cout, Cin/groups, *kernel); of transposed convolutions (Cin, Cout/groups, *kernel). Source: the shapes in
the documentation of ``torch.nn.Conv2d`` and ``torch.nn.ConvTranspose2d``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pytest_modelbudget.counting.operators.registry import Shape, counts


def forward(weight: Shape, out_shape: Shape) -> int:
    """Count a convolution: each of the N*Cout*positions outputs sums Cin/groups * kernel products."""
    return prod(out_shape) * prod(weight[1:])


def transposed(x: Shape, weight: Shape) -> int:
    """Count a transposed convolution: each of N*Cin*positions inputs is spread over Cout/groups * kernel outputs."""
    return prod(x) * prod(weight[1:])


@counts("aten::convolution", "aten::_convolution", "aten::convolution_overrideable")
def convolution(
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    is_transposed: bool,
    *_: Any,
    out_shape: Shape,
    **__: Any,
) -> int:
    """Count a convolution or a transposed one, of any dimension, stride, padding, dilation and groups."""
    return transposed(x, weight) if is_transposed else forward(weight, out_shape)


@counts("aten::convolution_backward", "aten::convolution_backward_overrideable")
def convolution_backward(grad: Shape, x: Shape, weight: Shape, *args: Any, **_: Any) -> int:
    """Count dX and dW, each as large as the forward, where the output mask asks for them.

    Both pair every (output position, kernel tap) with Cin/groups * Cout products, whichever of the three is summed. The
    arguments end in ``transposed, output_padding, groups, output_mask``.
    """
    is_transposed, mask = args[-4], args[-1]
    once = transposed(x, weight) if is_transposed else forward(weight, grad)
    return once * (int(mask[0]) + int(mask[1]))


@counts(
    "aten::mkldnn_convolution",
    "aten::cudnn_convolution",
    "aten::cudnn_convolution_relu",
    "aten::cudnn_convolution_add_relu",
    "aten::miopen_convolution",
    "aten::miopen_convolution_relu",
    "aten::miopen_convolution_add_relu",
    "aten::miopen_depthwise_convolution",
    "aten::_mps_convolution",
    "aten::slow_conv3d",
    "aten::slow_conv3d_forward",
    "aten::slow_conv_dilated2d",
    "aten::slow_conv_dilated3d",
    "aten::thnn_conv2d",
    "aten::_slow_conv2d_forward",
    "aten::_conv_depthwise2d",
    "aten::conv_depthwise3d",
    "aten::_nnpack_spatial_convolution",
    "mkldnn::_convolution_pointwise",
    "mkldnn::_convolution_pointwise_",
)
def backend_convolution(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count the kernels that backends pick for a plain convolution."""
    return forward(weight, out_shape)


@counts(
    "aten::cudnn_convolution_transpose",
    "aten::miopen_convolution_transpose",
    "aten::_mps_convolution_transpose",
    "aten::slow_conv_transpose2d",
    "aten::slow_conv_transpose3d",
    "mkldnn::_convolution_transpose_pointwise",
)
def backend_transposed(x: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """Count the kernels that backends pick for a transposed convolution."""
    return transposed(x, weight)


@counts("aten::_slow_conv2d_backward")
def slow_conv2d_backward(
    grad: Shape, x: Shape, weight: Shape, kernel: Any, stride: Any, padding: Any, mask: Any = (True, True), **_: Any
) -> int:
    """Count dX and dW of a 2-D convolution; the form without a mask computes both."""
    return forward(weight, grad) * (int(mask[0]) + int(mask[1]))


@counts("aten::mps_convolution_backward")
def mps_convolution_backward(x: Shape, grad: Shape, weight: Shape, *args: Any, **_: Any) -> int:
    """Count dX and dW; the mask is the last argument."""
    return forward(weight, grad) * (int(args[-1][0]) + int(args[-1][1]))


@counts("aten::mps_convolution_transpose_backward")
def mps_convolution_transpose_backward(x: Shape, grad: Shape, weight: Shape, *args: Any, **_: Any) -> int:
    """Count dX and dW of a transposed convolution; the mask is the last argument."""
    return transposed(x, weight) * (int(args[-1][0]) + int(args[-1][1]))


@counts("aten::conv_tbc")
def conv_tbc(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count a convolution over (time, batch, Cin) by a (kernel, Cin, Cout) weight: T*B*Cout outputs of kernel*Cin."""
    return prod(out_shape) * prod(weight[:2])


@counts("aten::conv_tbc_backward")
def conv_tbc_backward(grad: Shape, x: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """Count dX and dW, both always computed, each as large as the forward."""
    return 2 * prod(grad) * prod(weight[:2])
