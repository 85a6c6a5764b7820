"""Matrix products. A product of (m, k) by (k, n) is m*n sums of k products: m*k*n MACs.

Source: the signatures in ATen's ``native_functions.yaml``. Adding a bias or a third matrix is 0 MACs by definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from pytest_modelbudget.counting.operators.formulas.sparse import pairs_that_meet
from pytest_modelbudget.counting.operators.registry import Shape, SparseShape, counts


def product(a: Shape, b: Shape) -> int:
    """Return the MACs of (..., m, k) @ (..., k, n); a sparse operand counts its stored elements instead of m*k or k*n.

    Every stored element of a sparse ``a`` meets the n columns of ``b`` once; every one of ``b`` the m rows of ``a``; of
    two sparse ones the pairs count that meet.
    """
    stored_a, stored_b = getattr(a, "stored", None), getattr(b, "stored", None)
    if isinstance(a, SparseShape) and isinstance(b, SparseShape):
        return pairs_that_meet(a.tensor, b.tensor)
    if stored_a is not None:
        return int(stored_a) * b[-1]
    if stored_b is not None:
        return prod(a[:-1]) * int(stored_b) // prod(b[:-2])
    return prod(a) * b[-1]


@counts("aten::mm", "aten::bmm", "aten::_int_mm", "aten::smm", "aten::hspmm", "aten::_scaled_mm", "aten::_scaled_mm_v2")
@counts("symm_mem::_async_input_mm")
def mm(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Count (m, k) @ (k, n), or a batch of b such products: b*m*k*n."""
    return product(a, b)


@counts(
    "aten::addmm",
    "aten::baddbmm",
    "aten::addbmm",
    "aten::_addmm_activation",
    "aten::_scaled_addmm",
    "aten::_sparse_addmm",
    "aten::sspaddmm",
)
def addmm(bias: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Count bias + a @ b: the product alone. addbmm adds the b products up, which costs no MAC more."""
    return product(a, b)


@counts("aten::mv")
def mv(a: Shape, vector: Shape, **_: Any) -> int:
    """Count (m, k) @ (k): m*k, or the stored elements of a sparse matrix."""
    return product(a, (*vector, 1))


@counts("aten::addmv")
def addmv(bias: Shape, a: Shape, vector: Shape, **_: Any) -> int:
    """Count bias + (m, k) @ (k): the product alone."""
    return product(a, (*vector, 1))


@counts("aten::dot", "aten::vdot")
def dot(a: Shape, b: Shape, **_: Any) -> int:
    """Count (k) . (k): k."""
    return prod(a)


@counts("aten::matmul")
def matmul(a: Shape, b: Shape, *, out_shape: Shape, **_: Any) -> int:
    """Count any broadcast form of a @ b, where it reaches the mode undecomposed: each output sums k products."""
    if hasattr(a, "stored") or hasattr(b, "stored"):
        return product(a, b if len(b) > 1 else (*b, 1))
    return prod(out_shape) * a[-1]


@counts("aten::linear", "aten::mkldnn_linear", "mkldnn::_linear_pointwise", "mkl::_mkl_linear")
def linear(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count x (..., k) @ weight.T (k, n): every output is a sum of k products."""
    return prod(out_shape) * x[-1]


@counts("aten::linear_backward", "aten::mkldnn_linear_backward")
def linear_backward(x: Shape, grad: Shape, weight: Shape, mask: Sequence[bool], **_: Any) -> int:
    """Count dX = dY @ W and dW = dY.T @ X, each as large as the product itself, where asked for."""
    return prod(grad) * x[-1] * (int(mask[0]) + int(mask[1]))


@counts("aten::mkldnn_linear_backward_input")
def linear_backward_input(input_size: Sequence[int], grad: Shape, weight: Shape, **_: Any) -> int:
    """Count dX (..., k) = dY (..., n) @ W (n, k)."""
    return prod(grad) * weight[-1]


@counts("aten::mkldnn_linear_backward_weights")
def linear_backward_weights(grad: Shape, x: Shape, weight: Shape, bias_defined: bool, **_: Any) -> int:
    """Count dW (n, k) = dY.T (n, ...) @ X (..., k)."""
    return prod(grad) * x[-1]


@counts("aten::matmul_backward")
def matmul_backward(grad: Shape, a: Shape, b: Shape, mask: Sequence[bool], **_: Any) -> int:
    """Count dA = dC @ B.T and dB = A.T @ dC: each sums over the same (batch, m, k, n) as the product."""
    return prod(grad) * a[-1] * (int(mask[0]) + int(mask[1]))


@counts("inductor::_mm_plus_mm")
def mm_plus_mm(a: Shape, b: Shape, c: Shape, d: Shape, **_: Any) -> int:
    """Count a @ b + c @ d: both products."""
    return product(a, b) + product(c, d)


@counts("aten::_foreach_mm")
def foreach_mm(left: Sequence[Shape], right: Sequence[Shape], **_: Any) -> int:
    """Count a list of products: the sum of them."""
    return sum(product(a, b) for a, b in zip(left, right, strict=True))


@counts("aten::_grouped_mm", "aten::_scaled_grouped_mm", "aten::_scaled_grouped_mm_v2")
def grouped_mm(a: Shape, b: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count products of row or column groups: each element of the output sums its group's k products.

    2-D by 3-D: rows of ``a`` (t, k) are split over groups, (t, n) results: t*k*n. 3-D by 2-D and 3-D by 3-D likewise.
    2-D by 2-D: the summed dimension is split, and the (g, m, n) results sum t products in all: m*t*n.
    """
    if len(a) == 2 and len(b) == 2:
        return prod(a) * b[-1]
    return prod(out_shape) * a[-1]


@counts("aten::_trilinear")
def trilinear(
    i1: Shape,
    i2: Shape,
    i3: Shape,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    *_: Any,
    **__: Any,
) -> int:
    """Count a bilinear form, y[n, o] = sum over i, j of x[n, i] A[o, i, j] z[n, j]: n*o*i*j, and so its gradients.

    The operator expands its three arguments to one index space and sums over a part of it.
    """
    shapes = []
    for shape, expand in ((i1, expand1), (i2, expand2), (i3, expand3)):
        sizes = list(shape)
        for dim in sorted(expand):
            sizes.insert(dim, 1)
        shapes.append(sizes)
    return prod(max(sizes) for sizes in zip(*shapes, strict=True))


@counts("aten::_euclidean_dist")
def euclidean_dist(a: Shape, b: Shape, **_: Any) -> int:
    """Count the distances of p by r points of m features, |a|^2 - 2 a.b + |b|^2: p*r*m for the product a @ b.T."""
    return prod(a) * b[-2]


@counts("aten::_cdist_forward")
def cdist(a: Shape, b: Shape, p: float, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count Euclidean distances as p*r*m, whatever kernel runs; other norms take no product of two operands: 0."""
    return prod(out_shape) * a[-1] if p == 2 else 0


@counts("aten::_cdist_backward")
def cdist_backward(grad: Shape, a: Shape, b: Shape, p: float, *_: Any, **__: Any) -> int:
    """Count the gradient of one side: each of its p*m elements sums r weighted differences."""
    return prod(grad) * a[-1] if p == 2 else 0


@counts("aten::_weight_int8pack_mm", "aten::_mixed_dtypes_linear", "aten::_weight_int4pack_mm")
@counts("aten::_weight_int4pack_mm_for_cpu", "aten::_weight_int4pack_mm_with_scales_and_zeros")
@counts("aten::_dyn_quant_matmul_4bit", "aten::_sparse_semi_structured_linear")
def packed_linear(x: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count x (..., k) by a packed (k, n) weight: every output sums k products, packed or 2:4 sparse."""
    return prod(out_shape) * x[-1]


@counts("aten::_sparse_semi_structured_mm")
def semi_structured_mm(packed: Shape, meta: Shape, b: Shape, **_: Any) -> int:
    """Count a 2:4 sparse (m, k) by (k, n), dense-equivalent: m*k*n; the first argument packs k/2 columns."""
    return packed[0] * prod(b)


@counts("aten::_sparse_semi_structured_addmm")
def semi_structured_addmm(bias: Shape, packed: Shape, meta: Shape, b: Shape, **_: Any) -> int:
    """Count bias + a 2:4 sparse (m, k) by (k, n), dense-equivalent: m*k*n."""
    return packed[0] * prod(b)


@counts("aten::_cslt_sparse_mm")
def cslt_sparse_mm(compressed: Shape, b: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """Count a 2:4 sparse (m, k) by (k, n), dense-equivalent: m*k*n over the output's m*n elements."""
    return prod(out_shape) * b[0]


@counts("aten::sparse_sampled_addmm")
def sampled_addmm(pattern: Shape, a: Shape, b: Shape, **_: Any) -> int:
    """Count a product evaluated at the stored positions of ``pattern`` only: stored * k."""
    return int(getattr(pattern, "stored", prod(pattern))) * a[-1]
