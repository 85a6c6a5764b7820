"""Numbers for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelbudget.budgets import Limit, Place, parse_limit
from pytest_modelbudget.measurement import percent, signed_percent
from pytest_modelbudget.reports.lines import not_measured
from pytest_modelbudget.reports.wording import compared, convention, counted
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.run import Stale

HERE = Place("here")


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (4_089_184_256, "4.1G", ("4.089 G", "4.1 G")),
        (4_100_000_001, "4.1G", ("4,100,000,001", "4,100,000,000")),
        (4_099_999_999, "4.1G", ("4,099,999,999", "4,100,000,000")),
        (4_100_000_000, "4.1G", ("4.100 G", "4.1 G")),
        (25_557_032, 25_557_032, ("25.56 M", "25,557,032")),
        (25_557_033, 25_557_032, ("25,557,033", "25,557,032")),
        (None, "4.1G", ("-", "4.1 G")),
    ],
)
def test_value_and_limit_never_look_equal_when_they_are_not(
    value: int | None, limit: object, shown: tuple[str, str]
) -> None:
    assert compared("macs", value, parse_limit("macs", limit, HERE)) == shown


def test_bytes_keep_their_unit() -> None:
    assert compared("weight_bytes", 100_000_001, parse_limit("weight_bytes", "100 MB", HERE)) == (
        "100,000,001 B",
        "100,000,000 B",
    )


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_different_numbers_are_shown_differently(value: int, limit: int) -> None:
    left, right = compared("macs", value, Limit(limit, f"{limit:,}", HERE))
    assert (left == right) <= (value == limit)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (1, 3, "33.3%"),
        (2, 3, "66.7%"),
        (1, 100, "1.0%"),
        (99, 10_000, "0.99%"),
        (4, 100_000, "0.004%"),
        (1, 10**9, "0.0000001%"),
        (99_999, 100_000, "99.999%"),
        (-4, 10_000, "-0.04%"),
        (30, 1, "3,000.0%"),
        (0, 5, "0%"),
        (5, 5, "100%"),
        (1, 0, ""),
    ],
)
def test_percentages(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown


@given(st.integers(1, 10**15), st.integers(1, 10**15))
def test_no_percentage_is_a_zero_or_a_whole_that_is_none(part: int, whole: int) -> None:
    assert float(percent(part, whole)[:-1].replace(",", "")) != 0
    assert (float(percent(part, whole)[:-1].replace(",", "")) == 100) == (part == whole)


def test_changes_have_a_sign() -> None:
    assert [signed_percent(1000, after) for after in (1012, 999, 996)] == ["+1.2%", "-0.10%", "-0.40%"]
    assert signed_percent(0, 12_345) == "+12.35 K"


def test_what_falls_to_nothing_has_a_percentage() -> None:
    assert [signed_percent(900, value) for value in (0, 1, 900, 1800)] == ["-100%", "-99.9%", "+0%", "+100%"]


def test_small_words() -> None:
    assert (convention(1), convention(2)) == ("1 MAC = 1 FLOP", "1 MAC = 2 FLOPs")
    assert (counted(1, "model"), counted(1200, "model")) == ("1 model", "1,200 models")


def test_the_reason_is_said_where_it_fits_beside_the_names() -> None:
    stale = (Stale("net", Place("pyproject.toml"), None),)

    def line(asked_for: str) -> str:
        return not_measured(Run(stale=stale, incomplete=("arguments",), details={"arguments": asked_for}))

    assert line("x" * 33) == f"Not measured, since the run was asked for {'x' * 33}: net"
    assert line("x" * 34) == "Not measured in this part of the tests: net"
    other = Stale("net", None, None, "net", ("1x8",))
    said = not_measured(Run(stale=(other,), incomplete=("stopped",)))
    assert said == "Not measured, since tests were left when the run ended: net (1x8)"
    assert line("-o python_files=x") == "Not measured, since -o python_files=x changes what is collected: net"
