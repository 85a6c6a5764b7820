"""Products, convolutions, norms, poolings and reductions of row-major tensors."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import torch

from pytest_modelbudget.counting.shape_run.rules.elementwise import broadcast
from pytest_modelbudget.counting.shape_run.rules.table import (
    are_floating,
    is_contiguous,
    is_plain_value,
    row_major,
    rule,
)
from pytest_modelbudget.counting.shape_run.tensors import intern
from pytest_modelbudget.counting.torch_private import flash_attention_for_cpu


@rule("_softmax", "_log_softmax", "_safe_softmax", "cumsum")
def along_a_dimension(x: Any, dim: int, *others: Any, **options: Any) -> Any:
    """Answer an operator that runs along one dimension of a row-major tensor and keeps its shape."""
    if options or not are_floating(x) or not is_contiguous(x) or any(item not in (False, None) for item in others):
        return None
    return row_major(x.shape, x) if -len(x.shape) <= dim < len(x.shape) else None


@rule("tril", "triu")
def triangle(x: Any, diagonal: Any = 0) -> Any:
    """Answer the lower or upper triangle of matrices, which is row-major whatever they are."""
    return row_major(x.shape, x) if len(x.shape) >= 2 and not x.bits and type(diagonal) is int else None


@rule("roll")
def roll(x: Any, shifts: Any, dims: Any = ()) -> Any:
    """Answer a rotation of a row-major tensor."""
    fits = len(shifts) == len(dims) and all(-len(x.shape) <= dim < len(x.shape) for dim in dims)
    return row_major(x.shape, x) if fits and are_floating(x) and is_contiguous(x) else None


@rule("mean.dim", "sum.dim_IntList", "var.correction", "amax")
def reduce(x: Any, dims: Any = None, keepdim: bool = False, **options: Any) -> Any:
    """Answer a reduction of a row-major tensor over some of its dimensions."""
    if not are_floating(x) or not is_contiguous(x) or set(options) - {"keepdim", "correction"} or not dims:
        return None
    rank = len(x.shape)
    gone = {dim % rank for dim in dims if -rank <= dim < rank}
    if len(gone) != len(dims):
        return None
    keep = options.get("keepdim", keepdim)
    kept = [1 if dim in gone else size for dim, size in enumerate(x.shape) if keep or dim not in gone]
    return row_major(kept, x)


@rule("mm", "bmm")
def matmul(a: Any, b: Any) -> Any:
    """Answer a matrix product, or a batch of them."""
    if (
        not are_floating(a, b)
        or a.shape[-1] != b.shape[-2]
        or a.shape[:-2] != b.shape[:-2]
        or 0 in (*a.shape, *b.shape)
    ):
        return None
    return row_major((*a.shape[:-1], b.shape[-1]), a)


@rule("addmm", "baddbmm")
def addmm(bias: Any, a: Any, b: Any, **options: Any) -> Any:
    """Answer a matrix product and a bias that broadcasts to it."""
    out = matmul(a, b) if are_floating(bias, a, b) else None
    if out is None or any(not is_plain_value(value) for value in options.values()) or len(bias.shape) > len(out.shape):
        return None
    fits = all(width in (1, size) for width, size in zip(reversed(bias.shape), reversed(out.shape), strict=False))
    return out if fits else None


@rule("_grouped_mm")
def grouped_mm(a: Any, b: Any, ends: Any = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """Answer products of groups: of rows (2-D by 3-D), of columns (3-D by 2-D), of both, or of a split inner dimension.

    The meta kernel takes bfloat16 only, while the CPU computes every floating dtype.
    """
    if bias is not None or out_dtype is not None or not are_floating(a, b) or a.shape[-1] != b.shape[-2]:
        return None
    m, n = a.shape[-2], b.shape[-1]
    if n * a.dtype.itemsize % 16:
        return None  # rows are padded to 16 bytes
    if len(a.shape) == len(b.shape) == 3:
        return row_major((a.shape[0], m, n), a) if a.shape[0] == b.shape[0] else None
    if len(a.shape) == len(b.shape) == 2:
        return row_major((ends.shape[0], m, n), a) if ends is not None else None
    return row_major((m, n), a)


@rule("convolution")
def convolution(
    x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: Any, extra: Any, groups: Any
) -> Any:
    """Answer a convolution of row-major tensors."""
    operands = (x, w) if bias is None else (x, w, bias)
    if not are_floating(*operands) or not (is_contiguous(x) and is_contiguous(w)) or len(x.shape) != len(w.shape):
        return None
    inner, outer = (w.shape[0], w.shape[1] * groups) if transposed else (w.shape[1] * groups, w.shape[0])
    if x.shape[1] != inner or (bias is not None and bias.shape != (outer,)):
        return None
    dims = len(x.shape) - 2
    step, pad, spread, more = (list(v) * dims if len(v) == 1 else list(v) for v in (stride, padding, dilation, extra))
    sizes = []
    for i in range(dims):
        span = spread[i] * (w.shape[2 + i] - 1)
        if transposed:
            sizes.append((x.shape[2 + i] - 1) * step[i] - 2 * pad[i] + span + more[i] + 1)
        else:
            sizes.append((x.shape[2 + i] + 2 * pad[i] - span - 1) // step[i] + 1)
    return row_major((x.shape[0], outer, *sizes), x) if min(sizes) > 0 else None


@rule("native_batch_norm", "_native_batch_norm_legit_no_training")
def batch_norm(x: Any, w: Any, b: Any, mean: Any, var: Any, *_: Any) -> Any:
    """Answer batch normalisation, with the statistics of each channel."""
    channels = [spec for spec in (w, b, mean, var) if spec is not None]
    if not are_floating(x, *channels) or not is_contiguous(x) or any(spec.shape != (x.shape[1],) for spec in channels):
        return None
    saved = row_major((x.shape[1],), x)
    return (row_major(x.shape, x), saved, saved)


@rule("native_layer_norm")
def layer_norm(x: Any, normalized: Any, w: Any, b: Any, eps: Any) -> Any:
    """Answer layer normalisation: mean and rstd over the normalised dimensions, which are kept with size 1.

    All three are row-major, whatever ``x`` is.
    """
    operands = [spec for spec in (x, w, b) if spec is not None]
    axis = len(x.shape) - len(normalized)
    if not are_floating(*operands) or 0 in x.shape or axis < 0 or x.shape[axis:] != tuple(normalized):
        return None
    if any(spec.shape != tuple(normalized) for spec in operands[1:]):
        return None
    saved = row_major((*x.shape[:axis], *(1 for _ in normalized)), x)
    return (row_major(x.shape, x), saved, saved)


@rule("native_group_norm")
def group_norm(x: Any, w: Any, b: Any, n: int, c: int, hw: int, groups: int, eps: Any) -> Any:
    """Answer group normalisation."""
    if not are_floating(*(spec for spec in (x, w, b) if spec is not None)) or not is_contiguous(x) or c % groups:
        return None
    return (
        (row_major(x.shape, x), row_major((n, groups), x), row_major((n, groups), x))
        if prod(x.shape) == n * c * hw
        else None
    )


@rule("cat")
def cat(tensors: Any, dim: int = 0) -> Any:
    """Answer a concatenation, which is row-major unless all are images in another order.

    What has one dimension and no elements goes with tensors of any shape.
    """
    if not are_floating(*tensors):
        return None
    tensors = [tensor for tensor in tensors if tensor.shape != (0,)] or tensors
    first = tensors[0]
    if not first.shape:
        return None
    if len(first.shape) in (4, 5) and not all(map(is_contiguous, tensors)):
        return None
    at = dim % len(first.shape)
    rest = (*first.shape[:at], *first.shape[at + 1 :])
    if any(len(t.shape) != len(first.shape) or (*t.shape[:at], *t.shape[at + 1 :]) != rest for t in tensors):
        return None
    return row_major((*first.shape[:at], sum(t.shape[at] for t in tensors), *first.shape[at + 1 :]), first)


@rule("embedding")
def embedding(weight: Any, indices: Any, *_: Any) -> Any:
    """Answer a look-up of rows."""
    if not are_floating(weight) or len(weight.shape) != 2 or indices.dtype not in (torch.int64, torch.int32):
        return None
    return row_major((*indices.shape, weight.shape[1]), weight)


@rule("max_pool2d_with_indices")
def max_pool(
    x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil: bool = False
) -> Any:
    """Answer max pooling of a row-major batch of images, rounding down."""
    if ceil or not are_floating(x) or not is_contiguous(x) or len(x.shape) != 4:
        return None
    size, step, pad, spread = (
        list(v) * 2 if len(v) == 1 else list(v) for v in (kernel, stride or kernel, padding, dilation)
    )
    out = [(x.shape[2 + i] + 2 * pad[i] - spread[i] * (size[i] - 1) - 1) // step[i] + 1 for i in (0, 1)]
    if min(out) < 1 or any(2 * pad[i] > size[i] for i in (0, 1)):
        return None
    return (row_major((*x.shape[:2], *out), x), row_major((*x.shape[:2], *out), x, torch.int64))


@rule("native_dropout")
def dropout(x: Any, p: Any, train: Any) -> Any:
    """Answer dropout of a row-major tensor: its result, and the mask."""
    return (row_major(x.shape, x), row_major(x.shape, x, torch.bool)) if are_floating(x) and is_contiguous(x) else None


@rule("_adaptive_avg_pool2d")
def adaptive_pool(x: Any, sizes: Any) -> Any:
    """Answer adaptive average pooling of a row-major batch of images."""
    return row_major((*x.shape[:-2], *sizes), x) if are_floating(x) and is_contiguous(x) and len(x.shape) == 4 else None


@rule("_scaled_dot_product_flash_attention_for_cpu")
def attention(q: Any, k: Any, v: Any, dropout: float = 0.0, causal: bool = False, **options: Any) -> Any:
    """Answer fused attention on (B, H, L, E) tensors: the log-sums are laid out as (B, L, H)."""
    if not are_floating(q, k, v) or len(q.shape) != 4 or k.shape != v.shape:
        return None
    if (*q.shape[:2], q.shape[3]) != (*k.shape[:2], k.shape[3]):
        return None
    b, h, length, e = q.shape
    out = broadcast([q]) if _is_like_queries() else intern(q.shape, (h * length * e, e, h * e, 1), 0, q.dtype)
    saved = torch.float64 if q.dtype is torch.float64 else torch.float32
    sums = intern((b, h, length), (length * h, 1, h), 0, saved)
    return None if out is None else (out, sums)


@cache
def _is_like_queries() -> bool:
    """Return whether this torch lays the result of fused attention out as the queries, and not as (B, L, H, E)."""
    x = torch.zeros(1, 2, 2, 1)
    return bool(flash_attention_for_cpu(x, x, x).is_contiguous())
