"""The rules of views and of new tensors against torch's own kernels: sizes, strides and offsets are the same to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelbudget.counting.shape_run.operator_facts import SHAPE_RUN_FACTS
from pytest_modelbudget.counting.shape_run.tensors import spec_of

aten = torch.ops.aten


def by_rule(operator: Any, x: torch.Tensor, *args: Any, **options: Any) -> Any:
    rule = SHAPE_RUN_FACTS.facts_of(operator).shape_rule
    assert rule is not None, operator
    return rule(spec_of(x), *args, **options)


def by_torch(operator: Any, *args: Any, **options: Any) -> Any:
    """Return the spec that torch gives, or those, or None where it refuses."""
    try:
        out = operator(*args, **options)
    except (IndexError, RuntimeError):
        return None
    return list(map(spec_of, out)) if isinstance(out, (list, tuple)) else spec_of(out)


SIZES = st.integers(0, 4)
PLACES = st.integers(-6, 6)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Draw a view of a tensor: permuted, cut, repeated, or row-major with an offset."""
    shape = draw(st.lists(SIZES, min_size=0, max_size=4))
    order = draw(st.permutations(range(len(shape))))
    whole = torch.ones([2 * shape[dim] + 1 for dim in order], dtype=draw(st.sampled_from([torch.float32, torch.bool])))
    for position, dim in enumerate(order):
        whole = whole.narrow(position, draw(st.integers(0, 1)), 2 * shape[dim])
        step = draw(st.integers(1, 2))
        whole = whole[(slice(None),) * position + (slice(None, step * shape[dim], step),)]
    x = whole.permute([order.index(dim) for dim in range(len(shape))]) if shape else whole
    return x.contiguous() if draw(st.booleans()) else x


VIEWS: dict[Any, list[st.SearchStrategy[Any]]] = {
    aten.alias.default: [],
    aten.detach.default: [],
    aten.t.default: [],
    aten.transpose.int: [PLACES, PLACES],
    aten.permute.default: [st.lists(st.integers(-4, 3), max_size=4)],
    aten.expand.default: [st.lists(st.integers(-1, 4), max_size=5)],
    aten.unsqueeze.default: [PLACES],
    aten.squeeze.dim: [PLACES],
    aten.select.int: [PLACES, PLACES],
    aten.slice.Tensor: [PLACES, st.none() | PLACES, st.none() | PLACES, st.integers(-1, 3)],
    aten.view.default: [st.lists(st.integers(-1, 6), max_size=4)],
    aten._unsafe_view.default: [st.lists(st.integers(-1, 6), max_size=4)],
    aten.split.Tensor: [PLACES, PLACES],
    aten.split_with_sizes.default: [st.lists(SIZES, max_size=3), PLACES],
    aten.unbind.int: [PLACES],
}


@pytest.mark.parametrize("operator", VIEWS, ids=str)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_view_is_told_as_torch_makes_it_or_left_to_torch(operator: Any, data: st.DataObject) -> None:
    x = data.draw(tensors())
    args = [data.draw(strategy) for strategy in VIEWS[operator]]
    answer = by_rule(operator, x, *args)
    assert answer is None or answer == by_torch(operator, x, *args)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_every_view_of_other_sizes_is_answered(data: st.DataObject) -> None:
    x = data.draw(tensors().filter(torch.Tensor.numel))
    sizes = data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 12, x.numel()]), max_size=5))
    if data.draw(st.booleans()):
        sizes = [*data.draw(st.permutations([size for size in x.shape if size != 1])), 1]  # which fits more often
    assert by_rule(aten.view.default, x, sizes) is by_torch(aten.view.default, x, sizes)


X = torch.ones(2, 3, 4)
ANSWERED: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.t.default, (X[0],)),
    (aten.transpose.int, (X, -1, 0)),
    (aten.permute.default, (X[:, 1:, ::2], [2, -3, 1])),
    (aten.expand.default, (X[:, :1], [5, 1, 2, 3, -1])),
    (aten.expand.default, (torch.ones(()), [2, 1])),
    (aten.expand.default, (X.mT, [1, 1, -1, 4, 3])),
    (aten.unsqueeze.default, (X.mT, -1)),
    (aten.unsqueeze.default, (X.mT, 1)),
    (aten.squeeze.dim, (X[:, :1], 1)),
    (aten.squeeze.dim, (X, 1)),
    (aten.select.int, (X.mT, 1, -2)),
    (aten.slice.Tensor, (X, 2, -3, 100, 2)),
    (aten.slice.Tensor, (X, 0, 5, 2)),
    (aten.view.default, (X, [-1, 6])),
    (aten.view.default, (X[1], [1, 12, 1])),
    (aten.view.default, (X[:, :2], [2, 1, 2, -1])),
    (aten.view.default, (X.permute(2, 0, 1), [2, 2, 6])),
    (aten.view.default, (X[:, :, :2], [6, 2])),
    (aten._unsafe_view.default, (X, [24])),
    (aten.split.Tensor, (X, 3, -1)),
    (aten.split_with_sizes.default, (X, [1, 0, 3], 2)),
    (aten.unbind.int, (X.mT, 1)),
]


@pytest.mark.parametrize(("operator", "args"), ANSWERED, ids=lambda value: str(value) if callable(value) else "")
def test_common_views_are_answered(operator: Any, args: tuple[Any, ...]) -> None:
    answer = by_rule(operator, *args)
    assert answer is not None
    assert answer == by_torch(operator, *args)


def test_a_view_of_conjugated_values_is_conjugated() -> None:
    x = torch.ones(2, 3, dtype=torch.complex64).conj()
    assert by_rule(aten.t.default, x) is spec_of(x.t())


@pytest.mark.parametrize("operator", [aten.empty.memory_format, aten.zeros.default, aten.ones.default], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": torch.int64},
        {"dtype": torch.bool, "device": "cpu", "pin_memory": False},
        {"layout": torch.strided, "device": torch.device("meta")},
    ],
    ids=str,
)
@pytest.mark.parametrize("sizes", [[], [3], [2, 0, 3], [4, 1, 2]], ids=str)
def test_new_tensors(operator: Any, options: dict[str, Any], sizes: list[int]) -> None:
    rule = SHAPE_RUN_FACTS.facts_of(operator).shape_rule
    assert rule is not None
    assert rule(sizes, **options) is by_torch(operator, sizes, **options)


@pytest.mark.parametrize("bounds", [(5,), (0,), (-3, 4), (2, 9, 3), (9, 2, -3), (4, 4), (0, 7, 7)], ids=str)
@pytest.mark.parametrize("options", [{}, {"dtype": torch.float32}, {"dtype": torch.int32, "device": "cpu"}], ids=str)
def test_consecutive_integers(bounds: tuple[int, ...], options: dict[str, Any]) -> None:
    operator = (aten.arange.default, aten.arange.start, aten.arange.start_step)[len(bounds) - 1]
    rule = SHAPE_RUN_FACTS.facts_of(operator).shape_rule
    assert rule is not None
    assert rule(*bounds, **options) is by_torch(operator, *bounds, **options)


def test_fractions_and_wrong_bounds_are_left_to_torch() -> None:
    rule = SHAPE_RUN_FACTS.facts_of(aten.arange.start_step).shape_rule
    assert rule is not None
    assert [rule(*bounds) for bounds in [(2.5,), (0, 5, 0), (5, 0, 1)]] == [None] * 3


@pytest.mark.parametrize("value", [True, 2, 2.5], ids=str)
@pytest.mark.parametrize("options", [{}, {"dtype": torch.int64}], ids=str)
def test_numbers_as_tensors(value: float, options: dict[str, Any]) -> None:
    rule = SHAPE_RUN_FACTS.facts_of(aten.scalar_tensor.default).shape_rule
    assert rule is not None
    assert rule(value, **options) is by_torch(aten.scalar_tensor.default, value, **options)
    assert rule(2j) is None


def test_a_new_tensor_has_the_default_dtype_and_device() -> None:
    rule = SHAPE_RUN_FACTS.facts_of(aten.empty.memory_format).shape_rule
    assert rule is not None
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            spec = rule([2])
    finally:
        torch.set_default_dtype(torch.float32)
    assert (spec.dtype, spec.device.type) == (torch.float64, "meta")


@pytest.mark.parametrize(
    "options",
    [{"layout": torch.sparse_coo}, {"memory_format": torch.channels_last}, {"pin_memory": True}],
    ids=str,
)
def test_new_tensors_that_are_not_rows_are_left_to_torch(options: dict[str, Any]) -> None:
    rule = SHAPE_RUN_FACTS.facts_of(aten.empty.memory_format).shape_rule
    assert rule is not None
    assert rule([1, 2, 3, 4], **options) is None
    assert rule([-1]) is None
