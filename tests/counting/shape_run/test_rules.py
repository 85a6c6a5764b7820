"""Every shape rule against torch's own kernels, in plain layouts and in odd ones.

Element-wise operators are held against the CPU: in odd layouts meta kernels give strides that no real kernel does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelbudget.counting.shape_run.operator_facts import SHAPE_RUN_FACTS
from pytest_modelbudget.counting.shape_run.rules import SHAPE_RULES
from pytest_modelbudget.counting.shape_run.rules.elementwise import UNARY
from pytest_modelbudget.counting.shape_run.tensors import Spec, spec_of

aten = torch.ops.aten


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def real(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


def layouts(*shape: int) -> Iterator[torch.Tensor]:
    """Yield tensors of one shape that lie differently in memory."""
    yield real(*shape)
    for order in itertools.permutations(range(len(shape))):
        inverse = [order.index(dim) for dim in range(len(shape))]
        yield real(*(shape[dim] for dim in order)).permute(inverse)
    yield real(*shape[:-1], 2 * shape[-1])[..., ::2]
    yield real(*shape[:-1], 1).expand(shape)


def specs(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return spec_of(value)
    return [specs(item) for item in value] if isinstance(value, list) else value


def by_rule(operator: Any, *args: Any, **kwargs: Any) -> Any:
    rule = SHAPE_RUN_FACTS.facts_of(operator).shape_rule
    assert rule is not None, operator
    return rule(*map(specs, args), **{name: specs(value) for name, value in kwargs.items()})


def summary(out: Any) -> list[Any]:
    """Return shapes, strides of the dimensions that have any, and dtypes."""
    found = []
    for item in out if isinstance(out, (tuple, list)) else [out]:
        stride = item.stride if type(item) is Spec else item.stride()
        significant = tuple(step for step, size in zip(stride, item.shape, strict=True) if size != 1)
        found.append((tuple(item.shape), significant, item.dtype))
    return found


def agree(operator: Any, *args: Any, **kwargs: Any) -> bool:
    """Return whether the rule answers; where it does, it must answer as torch."""
    answer = by_rule(operator, *args, **kwargs)
    if answer is None:
        return False
    assert summary(answer) == summary(operator(*args, **kwargs))
    return True


@pytest.mark.parametrize("name", UNARY.split())
def test_functions_of_one_tensor(name: str) -> None:
    operator = getattr(aten, name).default
    parameters: tuple[Any, ...] = {"clamp": (0.0, 1.0), "clamp_max": (1.0,), "clamp_min": (0.0,)}.get(name, ())
    for x in layouts(2, 3, 4):
        assert agree(operator, x, *parameters)
    assert agree(operator, real(2, 3, 4, 5).to(memory_format=torch.channels_last), *parameters)


BINARY = [
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.maximum.default,
    aten.minimum.default,
]


@pytest.mark.parametrize("operator", [*BINARY, aten.lt.Tensor, aten.eq.Tensor], ids=str)
@pytest.mark.parametrize("other", [(2, 3, 4), (3, 4), (4,), (2, 1, 4), (1, 1, 1), (2, 3, 1), ()], ids=str)
def test_functions_of_two_tensors(operator: Any, other: tuple[int, ...]) -> None:
    for a in layouts(2, 3, 4):
        for b in [real()] if not other else layouts(*other):
            assert agree(operator, a, b)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_strides_of_broadcast_results(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    operands = []
    for _ in range(2):
        dropped = data.draw(st.integers(0, len(shape) - 1))
        sizes = [data.draw(st.sampled_from([1, size])) for size in shape][dropped:]
        order = data.draw(st.permutations(range(len(sizes))))
        operands.append(real(*(sizes[dim] for dim in order)).permute([order.index(dim) for dim in range(len(sizes))]))
    assert agree(aten.add.Tensor, *operands)


@pytest.mark.parametrize(
    "operator", [aten.gelu_backward, aten.silu_backward, aten.sigmoid_backward, aten.tanh_backward]
)
def test_backwards_of_activations(operator: Any) -> None:
    assert agree(operator.default, real(2, 3), real(2, 3))


def test_tensors_and_numbers() -> None:
    for x in layouts(2, 3, 4):
        assert agree(aten.pow.Tensor_Scalar, x, 2)
        assert agree(aten.mul.Tensor, x, 2.0)
        assert agree(aten.rsub.Scalar, x, 1)
        assert agree(aten.gt.Scalar, x, 0)
        assert agree(aten.softplus.default, x)
        assert agree(aten.softplus.default, x, 1, 20)
        assert agree(aten.threshold_backward.default, x, real(2, 3, 4), 0)
        assert agree(aten.where.self, real(2, 3, 1, dtype=torch.bool), x, real(4))


MASKS = [
    real(2, 3, 4, dtype=torch.bool),
    real(3, 1, dtype=torch.bool),
    real(4, 3, 2, dtype=torch.bool).permute(2, 1, 0),
]


@pytest.mark.parametrize("mask", MASKS, ids=["whole", "rows", "mixed"])
def test_filled_where_a_mask_says(mask: torch.Tensor) -> None:
    for x in layouts(2, 3, 4):
        assert agree(aten.masked_fill.Scalar, x, mask, float("-inf"))
        assert agree(aten.masked_fill.Tensor, x, mask, real())


def test_triangles_and_layer_norms_are_row_major() -> None:
    for x in layouts(2, 3, 4):
        assert agree(aten.tril.default, x)
        assert agree(aten.triu.default, x.bool(), 1)
        assert agree(aten.native_layer_norm.default, x, [4], real(4), real(4), 1e-5)
        assert agree(aten.native_layer_norm.default, x, [3, 4], None, None, 1e-5)


def test_copies() -> None:
    for x in layouts(2, 3, 4):
        assert agree(aten.clone.default, x, memory_format=torch.contiguous_format)
        answer = by_rule(aten.clone.default, x)
        assert answer is None or summary(answer) == summary(x.clone())
    assert agree(aten.clone.default, real(2, 3).bool().t())


X, T, W, M = meta(2, 8, 16, 16), meta(2, 5, 8), meta(8), meta(8, 8)
CONV = [1, 1], [1, 1], [1, 1]
CASES: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (aten._softmax.default, (T, -1, False), {}),
    (aten._log_softmax.default, (T, -1, False), {}),
    (aten.cumsum.default, (T, 1), {}),
    (aten.roll.default, (X, [1, 1], [2, 3]), {}),
    (aten.mean.dim, (X, [2, 3]), {}),
    (aten.mean.dim, (X, [-1], True), {}),
    (aten.sum.dim_IntList, (X, [0, 2, 3]), {}),
    (aten.var.correction, (X, [1]), {"correction": 1, "keepdim": True}),
    (aten.amax.default, (X, [1]), {}),
    (aten.mm.default, (M, M.t()), {}),
    (aten.bmm.default, (T, meta(2, 8, 3)), {}),
    (aten.addmm.default, (W, M, M), {}),
    (aten.addmm.default, (meta(1), M, M.t()), {}),
    (aten.baddbmm.default, (meta(1, 5, 3), T, meta(2, 8, 3)), {"beta": 0}),
    (aten.convolution.default, (X, meta(4, 8, 3, 3), meta(4), [2, 2], [1, 1], [1, 1], False, [0, 0], 1), {}),
    (aten.convolution.default, (X, meta(8, 4, 3, 3), None, [2, 2], [1, 1], [1, 1], True, [1, 1], 2), {}),
    (aten.convolution.default, (X, meta(8, 1, 3, 3), None, [1, 1], [2, 2], [2, 2], False, [0, 0], 8), {}),
    (aten.convolution.default, (T, meta(4, 5, 3), None, [1], [1], [1], False, [0], 1), {}),
    (aten.convolution.default, (meta(1, 2, 4, 5, 6), meta(3, 2, 2, 2, 2), None, [1], [0], [1], False, [0], 1), {}),
    (aten.native_batch_norm.default, (X, W, W, W, W, True, 0.1, 1e-5), {}),
    (aten._native_batch_norm_legit_no_training.default, (X, W, W, W, W, 0.1, 1e-5), {}),
    (aten.native_layer_norm.default, (T, [8], W, W, 1e-5), {}),
    (aten.native_layer_norm.default, (T, [5, 8], None, None, 1e-5), {}),
    (aten.native_group_norm.default, (X, W, W, 2, 8, 256, 2, 1e-5), {}),
    (aten.cat.default, ([X, X], 1), {}),
    (aten.cat.default, ([T, meta(2, 1, 8).transpose(0, 1).transpose(0, 1)], -2), {}),
    (aten.cat.default, ([T.transpose(1, 2), T.transpose(1, 2)],), {}),
    (aten.cat.default, ([meta(0), T, meta(0)], -2), {}),
    (aten.cat.default, ([meta(0), meta(0)], -1), {}),
    (aten.embedding.default, (M, meta(2, 5, dtype=torch.int64)), {}),
    (aten.embedding.default, (M, meta(2, 5, dtype=torch.int64), 0), {}),
    (aten.max_pool2d_with_indices.default, (X, [3, 3], [2, 2], [1, 1]), {}),
    (aten.max_pool2d_with_indices.default, (X, [2, 2]), {}),
    (aten._adaptive_avg_pool2d.default, (X, [1, 1]), {}),
    (aten.native_dropout.default, (X, 0.5, True), {}),
    (aten._scaled_dot_product_flash_attention_for_cpu.default, (X, X, X), {}),
    (aten._scaled_dot_product_flash_attention_for_cpu.default, (meta(2, 8, 3, 16), X, X, 0.0, True), {"scale": 0.5}),
]


if hasattr(aten, "_safe_softmax"):  # from torch 2.5 on
    CASES.append((aten._safe_softmax.default, (T, -1), {}))


@pytest.mark.parametrize(("operator", "args", "kwargs"), CASES, ids=lambda value: str(value) if callable(value) else "")
def test_others(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert agree(operator, *args, **kwargs)


def half(*shape: int) -> torch.Tensor:
    return meta(*shape, dtype=torch.bfloat16)


ENDS = meta(2, dtype=torch.int32)


@pytest.mark.skipif(not hasattr(aten, "_grouped_mm"), reason="this torch has no grouped products")
@pytest.mark.parametrize(
    ("a", "b", "ends"),
    [
        (half(16, 32), half(2, 32, 8), ENDS),
        (half(2, 16, 32), half(2, 32, 8), None),
        (half(16, 32), half(32, 8), ENDS),
        (half(2, 16, 32), half(32, 8), ENDS),
    ],
)
def test_products_of_groups(a: torch.Tensor, b: torch.Tensor, ends: torch.Tensor | None) -> None:
    transposed = b.mT.contiguous().mT  # the meta kernel wants the second operand column-major
    assert agree(aten._grouped_mm.default, a, transposed, ends)


@pytest.mark.parametrize("x", [X, X.permute(0, 2, 3, 1), T.transpose(0, 1)], ids=["rows", "channels", "mixed"])
def test_random_numbers_and_fresh_memory(x: torch.Tensor) -> None:
    assert agree(aten.empty_like.default, x)
    assert agree(aten.fill_.Scalar, x, 1.0)
    assert agree(aten.normal_.default, x, 0.0, 0.02)
    assert agree(aten.uniform_.default, x)
    assert agree(aten.bernoulli_.float, x, 0.5)


REFUSED: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.mm.default, (M, meta(7, 8))),
    (aten.bmm.default, (T, meta(3, 8, 3))),
    (aten.addmm.default, (meta(7), M, M)),
    (aten.add.Tensor, (meta(3), meta(4))),
    (aten.convolution.default, (X, meta(4, 7, 3, 3), None, *CONV, False, [0, 0], 1)),
    (aten.convolution.default, (X, meta(4, 8, 3, 3), meta(5), *CONV, False, [0, 0], 1)),
    (aten.convolution.default, (X, meta(4, 8, 19, 19), None, *CONV, False, [0, 0], 1)),
    (aten.cat.default, ([T, meta(3, 5, 8)], 1)),
    (aten.native_layer_norm.default, (T, [7], None, None, 1e-5)),
    (aten.native_layer_norm.default, (T, [8], meta(7), None, 1e-5)),
    (aten.max_pool2d_with_indices.default, (X, [2, 2], [2, 2], [2, 2])),
    (aten._softmax.default, (T, 3, False)),
    (aten.cumsum.default, (T, 3)),
    (aten.masked_fill.Scalar, (M, meta(8, 8), 0)),
    (aten.masked_fill.Scalar, (M, meta(7, 8, dtype=torch.bool), 0)),
    (aten.masked_fill.Tensor, (M, meta(8, 8, dtype=torch.bool), meta(1))),
    (aten.masked_fill.Tensor, (M, meta(8, 8, dtype=torch.bool), meta(dtype=torch.int64))),
    (aten.tril.default, (W,)),
    (aten.clone.default, (M[:, ::2],)),
    (aten.native_batch_norm.default, (X, meta(7), W, W, W, True, 0.1, 1e-5)),
    (aten._scaled_dot_product_flash_attention_for_cpu.default, (X, meta(2, 8, 16, 15), X)),
]


@pytest.mark.parametrize(("operator", "args"), REFUSED, ids=lambda value: str(value) if callable(value) else "")
def test_a_rule_leaves_what_does_not_fit_to_the_meta_kernel(operator: Any, args: tuple[Any, ...]) -> None:
    assert by_rule(operator, *args) is None


def test_no_rule_without_an_operator() -> None:
    newer = {"aten::_safe_softmax", "aten::_grouped_mm"}
    for name in SHAPE_RULES.keys() - newer:
        packet, _, overload = name.removeprefix("aten::").partition(".")
        assert hasattr(getattr(aten, packet), overload or "default") or getattr(aten, packet).overloads()


def test_mixed_dtypes_and_integers_are_left_to_the_meta_kernel() -> None:
    assert by_rule(aten.add.Tensor, meta(2, 3), half(2, 3)) is None
    assert by_rule(aten.mm.default, meta(2, 2), half(2, 3)) is None
    assert by_rule(aten.relu.default, meta(2, 3, dtype=torch.int64)) is None
