"""Operators of other packages, and of small libraries and late parts of torch: what is known from the start.

``formula`` of the public API wins over all of it.
"""

from __future__ import annotations

_NAMESPACES = """
    _c10d_functional _c10d_functional_autograd _dtensor c10d debug_mode_ops debugprims export fsdp prims profiler
    quantized_decomposed rngprims static_runtime
"""
_NAMES = """
    bitsandbytes::dequantize_4bit bitsandbytes::dequantize_blockwise bitsandbytes::int8_double_quant
    bitsandbytes::int8_mm_dequant bitsandbytes::int8_vectorwise_dequant bitsandbytes::int8_vectorwise_quant
    bitsandbytes::optimizer_update_32bit bitsandbytes::optimizer_update_8bit_blockwise bitsandbytes::quantize_4bit
    bitsandbytes::quantize_blockwise inductor_prims::inductor_reserve_rng_state mkl::_mkl_reorder_linear_weight
    mkldnn_prepacked::conv2d_prepack pippy::_pipe_split quantization::_Bfloat16QuantizedToFloat
    quantization::_FloatToBfloat16Quantized sparse::qlinear_prepack torchvision::_ps_roi_align_backward
    torchvision::_ps_roi_pool_backward torchvision::_roi_align_backward torchvision::_roi_pool_backward torchvision::nms
    torchvision::ps_roi_align torchvision::ps_roi_pool torchvision::roi_align torchvision::roi_pool
"""
NAMESPACES_WITHOUT_MACS = frozenset(_NAMESPACES.split())
"""What moves, quantizes, draws or annotates data; ``prims`` is what decompositions end in: products stay aten's."""
NAMES_WITHOUT_MACS = frozenset(_NAMES.split())
COUNTED_LIKE = {
    "bitsandbytes::gemm_4bit": "aten::_weight_int4pack_mm",  # x (..., k) by a packed (n, k) weight
    "bitsandbytes::gemv_4bit": "aten::_weight_int4pack_mm",
    "bitsandbytes::int8_linear_matmul": "aten::_weight_int4pack_mm",
    "bitsandbytes::int8_scaled_mm": "aten::_weight_int4pack_mm",
    "torchvision::deform_conv2d": "aten::mkldnn_convolution",  # x, a (Cout, Cin/groups, *kernel) weight
}
"""The operator of torch whose formula counts a foreign one, from the same arguments."""
