"""Operators of other packages, and of parts of torch that are imported late: what is known of them from the start.

``formula`` of the public API wins over all of it.
"""

from __future__ import annotations

NAMESPACES_WITHOUT_MACS = frozenset(("fsdp", "prims", "quantized_decomposed"))
"""What moves, quantizes and dequantizes data; ``prims`` is what decompositions end in: products stay aten's."""

WITHOUT_MACS = frozenset(
    f"{namespace}::{name}"
    for namespace, names in {
        "bitsandbytes": """
            dequantize_4bit dequantize_blockwise int8_double_quant int8_mm_dequant int8_vectorwise_dequant
            int8_vectorwise_quant optimizer_update_32bit optimizer_update_8bit_blockwise quantize_4bit
            quantize_blockwise
        """,
        "pippy": "_pipe_split",
        "torchvision": """
            _ps_roi_align_backward _ps_roi_pool_backward _roi_align_backward _roi_pool_backward nms ps_roi_align
            ps_roi_pool roi_align roi_pool
        """,
    }.items()
    for name in names.split()
)

COUNTED_LIKE = {
    "bitsandbytes::gemm_4bit": "aten::_weight_int4pack_mm",  # x (..., k) by a packed (n, k) weight
    "bitsandbytes::gemv_4bit": "aten::_weight_int4pack_mm",
    "bitsandbytes::int8_linear_matmul": "aten::_weight_int4pack_mm",
    "bitsandbytes::int8_scaled_mm": "aten::_weight_int4pack_mm",
    "torchvision::deform_conv2d": "aten::mkldnn_convolution",  # x, a (Cout, Cin/groups, *kernel) weight
}
"""The operator of torch whose formula counts a foreign one, from the same arguments."""
