"""Input specs: what is accepted, and what each mistake says."""

from __future__ import annotations

import contextlib
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelbudget.measurement import TensorSpec
from pytest_modelbudget.specs import DTYPES, Inputs, InputSpec, SpecError, parse_inputs, parse_spec


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
        ("1x8 = 63", "only integers are filled with a value"),
        ("1x8 float32 = 63", "only integers are filled with a value"),
        ("1x8 int8 = 128", "128 is no value of int8"),
        ("1x8 int64 = many", "many is no value of int64"),
        ("1x8 int64 =", "sizes joined by x"),
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


@pytest.mark.parametrize("value", [[], {}, None, date(2026, 11, 30)])
def test_what_is_no_inputs(value: object) -> None:
    with pytest.raises(SpecError, match="inputs are a spec such as"):
        parse_inputs(value)


X, Y = InputSpec(((2,), (8,))), InputSpec(((2,),), "int64")


@pytest.mark.parametrize(
    ("value", "positional", "keyword"),
    [
        ({"batch": {"x": "2x8"}}, (), {"batch": {"x": X}}),
        ([["2x8", "2 int64"], 0], ([X, Y], 0), {}),
        ({"ids": "2 int64", "max_new_tokens": 4, "greedy": True}, (), {"ids": Y, "max_new_tokens": 4, "greedy": True}),
        (["2x8", "None"], (X, None), {}),
        (["2x8", "mean"], (X, "mean"), {}),
        ("2 int64 = 63", (InputSpec(((2,),), "int64", 63),), {}),
        ("scalar", (InputSpec(()),), {}),
        ("scalars", ("scalars",), {}),
        ({"name": "a:b"}, (), {"name": "a:b"}),
        (3, (3,), {}),
    ],
)
def test_inputs_of_any_nesting(value: object, positional: tuple[object, ...], keyword: dict[str, object]) -> None:
    assert parse_inputs(value) == Inputs(positional, keyword)


def test_a_function_is_named_at_the_top() -> None:
    assert parse_inputs("acme.data:example_batch") == Inputs(function="acme.data:example_batch")
    assert parse_inputs(["acme.data:example_batch"]).positional == ("acme.data:example_batch",)


def test_ranges_are_found_at_any_depth() -> None:
    inputs = parse_inputs({"batch": {"x": ["1x{2,4}"]}, "steps": 3})
    assert (inputs.steps, inputs.sizes) == (2, (2, 4))
    assert [one.keyword["batch"]["x"][0].shape for one in inputs.each()] == [(1, 2), (1, 4)]
    assert {one.keyword["steps"] for one in inputs.each()} == {3}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1, 3, 224, 224], 'a shape is written "1x3x224x224"'),
        ({"x": ["1x"]}, "'' is no size"),
        (["{1,2"], "'{1,2' is no size"),
        ({"when": date(2026, 11, 30)}, "an input is a spec"),
    ],
)
def test_mistakes_in_inputs(value: object, says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)):
        parse_inputs(value)
