"""The grammar of limits: exact, and strict about everything else."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelbudget.budgets import Place, parse_limit
from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.limits import reads_as_limit
from pytest_modelbudget.metrics import METRICS

HERE = Place("test_model.py", 12, "@pytest.mark.budget")
SI = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


@pytest.mark.parametrize(
    ("metric", "declared", "value", "shown"),
    [
        ("params", 25_557_032, 25_557_032, "25,557,032"),
        ("params", "25_557_032", 25_557_032, "25,557,032"),
        ("params", 0, 0, "0"),
        ("params", "25.6M", 25_600_000, "25.6 M"),
        ("params", "25.6 M", 25_600_000, "25.6 M"),
        ("params", "25.6M params", 25_600_000, "25.6 M"),
        ("params", "7B", 7_000_000_000, "7 B"),
        ("trainable_params", "7 B parameters", 7_000_000_000, "7 B"),
        ("macs", "4.10G", 4_100_000_000, "4.10 G"),
        ("macs", "4.1 GMACs", 4_100_000_000, "4.1 G"),
        ("macs", "4.1G MACs", 4_100_000_000, "4.1 G"),
        ("macs", "0.5K", 500, "0.5 K"),
        ("training_macs", "12T", 12 * 10**12, "12 T"),
        ("flops", "8.2 GFLOPs", 8_200_000_000, "8.2 G"),
        ("training_flops", "1P", 10**15, "1 P"),
        ("weight_bytes", "100 MB", 100_000_000, "100 MB"),
        ("weight_bytes", "862 kB", 862_000, "862 KB"),
        ("weight_bytes", "862kB", 862_000, "862 KB"),
        ("weight_bytes", "100M", 100_000_000, "100 MB"),
        ("weight_bytes", "96 MiB", 96 * 2**20, "96 MiB"),
        ("weight_bytes", "1.5 KiB", 1536, "1.5 KiB"),
        ("weight_bytes", "4096 bytes", 4096, "4,096 B"),
        ("weight_bytes", 4096, 4096, "4,096 B"),
    ],
)
def test_what_is_a_limit(metric: str, declared: object, value: int, shown: str) -> None:
    limit = parse_limit(metric, declared, HERE)
    assert (limit.value, limit.text, limit.place) == (value, shown, HERE)
    assert type(limit.value) is int


@pytest.mark.parametrize(
    ("metric", "declared", "reason"),
    [
        ("macs", 4.1, "a float is not exact"),
        ("macs", float("nan"), "a float is not exact"),
        ("macs", True, "a limit is a number"),
        ("macs", -1, "not negative"),
        ("macs", "-1G", "not negative"),
        ("macs", [1], "an int or a string, not list"),
        ("macs", "", "an int, or a number with"),
        ("macs", " 4G", "an int, or a number with"),
        ("macs", "4G ", "an int, or a number with"),
        ("macs", "4G\n", "an int, or a number with"),
        ("macs", "4  G", "an int, or a number with"),
        ("macs", "4.G", "an int, or a number with"),
        ("macs", ".5G", "an int, or a number with"),
        ("macs", "4__0", "an int, or a number with"),
        ("macs", "4,100", "an int, or a number with"),
        ("macs", "4.1e9", "an int, or a number with"),
        ("macs", "٤G", "an int, or a number with"),
        ("macs", "9" * 5000, "an int, or a number with"),
        ("macs", "4.1", "a whole number"),
        ("macs", "0.0001K", "a whole number"),
        ("macs", "4.1g", "case-sensitive: write G"),
        ("macs", "4.1 k", "case-sensitive: write K"),
        ("macs", "4.1X", "'X' is not a prefix or unit of macs"),
        ("macs", "4.1 GFLOPs", "FLOPs is the unit of flops, not of macs, and one is never converted"),
        ("flops", "4.1 GMACs", "MACs is the unit of macs, not of flops"),
        ("params", "4.1 GMACs", "MACs is the unit of macs, not of params"),
        ("flops", "8.2 GFLOPS", "a speed"),
        ("macs", "7B", "only parameters are counted in B"),
        ("weight_bytes", "7B", "write bytes as a plain number, or KB, MB or GB"),
        ("weight_bytes", "96 Mi", "'Mi' is not a prefix"),
        ("params", "96 MiB", "'MiB' is not a prefix"),
        ("params", "100 MB", "'MB' is not a prefix"),
        ("params", "862k", "write K"),
        ("weight_bytes", "862k", "write K"),
    ],
)
def test_what_is_none(metric: str, declared: object, reason: str) -> None:
    with pytest.raises(MalformedLimit) as caught:
        parse_limit(metric, declared, HERE)
    assert reason in str(caught.value)
    assert str(caught.value).endswith(f'This works: {metric} = "{METRICS[metric].example}"')


@pytest.mark.parametrize("metric", METRICS)
def test_every_example_works(metric: str) -> None:
    assert parse_limit(metric, METRICS[metric].example, HERE).value > 0


def parsed(metric: str, value: object) -> int | str:
    """Return the limit, or why it is none."""
    try:
        return parse_limit(metric, value, HERE).value
    except MalformedLimit as error:
        return str(error)


@given(st.integers(0, 10**20), st.integers(0, 15), st.sampled_from(sorted(SI)), st.sampled_from(["", " "]))
def test_decimals_are_exact(digits: int, decimals: int, prefix: str, gap: str) -> None:
    number = f"{digits:0{decimals + 1}d}"
    text = f"{number[:-decimals]}.{number[-decimals:]}" if decimals else number
    expected = Fraction(digits, 10**decimals) * SI[prefix]
    found = parsed("macs", f"{text}{gap}{prefix}".rstrip())
    if expected.denominator == 1:
        assert found == expected
    else:
        assert "whole number" in str(found)


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.binary()), st.sampled_from([*METRICS])
)
def test_anything_else_is_refused_in_words(value: object, metric: str) -> None:
    found = parsed(metric, value)
    assert METRICS[metric].example in found if isinstance(found, str) else found >= 0


@given(st.integers(0, 10**18))
def test_ints_are_taken_as_they_are(value: int) -> None:
    assert parse_limit("macs", value, HERE).value == parse_limit("macs", str(value), HERE).value == value


def test_what_reads_as_a_limit_of_some_metric() -> None:
    assert all(map(reads_as_limit, ["4.1G", "96 MiB", "7B", "8 GFLOPs"]))
    assert not any(map(reads_as_limit, ["fast", "4.1g", 3, 4.1, None]))


def test_a_place_reads_as_people_write_it() -> None:
    assert str(HERE) == "test_model.py:12 @pytest.mark.budget"
    assert str(Place("test_model.py")) == "test_model.py"
