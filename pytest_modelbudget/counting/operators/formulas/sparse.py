"""Products of two sparse matrices: their number depends on where the stored elements lie.

Products of a sparse and a dense matrix are in ``matmul``; they count stored elements.
"""

from __future__ import annotations

from typing import Any

from pytest_modelbudget.counting.operators.registry import counts


def pairs_that_meet(a: Any, b: Any) -> int:
    """Return for each k of (m, k) @ (k, n) the stored elements in column k of ``a`` times those in row k of ``b``."""
    columns, rows = a.to_sparse_coo().coalesce().indices()[1], b.to_sparse_coo().coalesce().indices()[0]
    return int((columns.bincount(minlength=a.shape[1]) * rows.bincount(minlength=a.shape[1])).sum())


@counts("aten::_sparse_sparse_matmul", "aten::_sparse_mm", takes_tensors=True)
def sparse_sparse(a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Count the pairs that meet."""
    return pairs_that_meet(a, b)


@counts("aten::_sparse_mm_reduce_impl", takes_tensors=True)
def sparse_mm_reduce(a: Any, b: Any, reduce: str, *_: Any, **__: Any) -> int:
    """Count a sparse (m, k) by a dense (k, n) matrix, whose products are summed, averaged or compared: stored * n."""
    return int(a.values().numel()) * int(b.shape[-1])


@counts("aten::_sparse_mm_reduce_impl_backward", takes_tensors=True)
def sparse_mm_reduce_backward(
    a: Any, grad: Any, weight: Any, reduce: str, arg: Any, mask: Any, *_: Any, **__: Any
) -> int:
    """Count the gradients of both sides, each stored * n."""
    return int(a.values().numel()) * int(grad.shape[-1]) * (int(mask[0]) + int(mask[1]))
