"""Input specs: what is accepted, and what each mistake says."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelbudget.measurement import TensorSpec
from pytest_modelbudget.specs import DTYPES, InputSpec, SpecError, parse_inputs, parse_spec


@given(st.lists(st.integers(0, 10**9), max_size=6), st.sampled_from(DTYPES))
def test_what_reports_print_is_a_spec(shape: list[int], dtype: str) -> None:
    printed = str(TensorSpec("args[0]", tuple(shape), dtype)).removeprefix("args[0] ")
    spec = parse_spec(printed)
    assert (spec.shape, spec.dtype) == (tuple(shape), dtype)


@given(st.text(max_size=20))
def test_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert all(size >= 0 for sizes in parse_spec(text).sizes for size in sizes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1x3x224x", "'' is no size"),
        ("1,3,224", "'1,3,224' is no size"),
        ("-1x3", "'-1' is no size"),
        ("1x3 long", "did you mean int64?"),
        ("1x3 floaat32", "did you mean float32?"),
        ("1x3 zzz", "valid are float32"),
        ("1x{1,2}x{1,2,3}", "its ranges have different lengths"),
        ("1x3 int64 bool", "sizes joined by x"),
        ("9999999999999", "is no size"),
    ],
)
def test_mistakes(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert says in str(caught.value)


def test_ranges_go_in_step() -> None:
    inputs = parse_inputs({"ids": "1x{128,256} int64", "mask": "1x{128,256} bool", "x": "4"})
    assert [one.keyword for one in inputs.each()] == [
        {
            "ids": InputSpec(((1,), (size,)), "int64"),
            "mask": InputSpec(((1,), (size,)), "bool"),
            "x": InputSpec(((4,),)),
        }
        for size in (128, 256)
    ]
    both = parse_inputs("{1,2}x{3,4}")
    assert [one.positional[0].shape for one in both.each()] == [(1, 3), (2, 4)]
    assert [*parse_inputs(["1x2", "3"]).each()] == [parse_inputs(["1x2", "3"])]
    assert parse_spec("2x3").numel == 6
    with pytest.raises(SpecError, match="different lengths"):
        parse_inputs(["{1,2}", "{1,2,3}"])


@pytest.mark.parametrize("value", [3, [], {}, [3], {"x": 3}, None, [["1x3"]]])
def test_what_is_no_inputs(value: object) -> None:
    with pytest.raises(SpecError, match="inputs are a spec such as"):
        parse_inputs(value)
