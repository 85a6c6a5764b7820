"""Numbers for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_modelbudget.budgets import Limit, Place, parse_limit
from pytest_modelbudget.measurement import in_one_unit, percent, signed_percent
from pytest_modelbudget.reports.lines import not_measured
from pytest_modelbudget.reports.wording import convention, counted, numbers
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
        (25_557_032, 25_557_032, ("25,557,032", "25,557,032")),
        (8144, 8143, ("8,144", "8,143")),
        (25_557_033, 25_557_032, ("25,557,033", "25,557,032")),
        (None, "4.1G", ("-", "4.1 G")),
    ],
)
def test_value_and_limit_never_look_equal_when_they_are_not(
    value: int | None, limit: object, shown: tuple[str, str]
) -> None:
    assert numbers("macs", value, parse_limit("macs", limit, HERE))[:2] == shown


def test_bytes_keep_their_unit() -> None:
    limit = parse_limit("weight_bytes", "100 MB", HERE)
    assert numbers("weight_bytes", 100_000_001, limit)[:2] == ("100,000,001 B", "100,000,000 B")
    assert numbers("weight_bytes", 8144, parse_limit("weight_bytes", 8143, HERE))[:2] == ("8,144 B", "8,143 B")


def test_all_numbers_of_a_line_are_written_alike() -> None:
    limit = parse_limit("macs", "5.7G", HERE)
    assert numbers("macs", 5_971_000_000, limit, 5_511_000_000) == ("5.971 G", "5.7 G", "5.511 G")
    assert numbers("macs", 5_700_000_001, limit, 5_511_000_000) == ("5,700,000,001", "5,700,000,000", "5,511,000,000")
    limit = parse_limit("macs", 5_700_000_000, HERE)
    assert numbers("macs", 5_971_000_000, limit, 5_511_000_000) == ("5,971,000,000", "5,700,000,000", "5,511,000,000")


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_different_numbers_are_shown_differently(value: int, limit: int) -> None:
    left, right, _ = numbers("macs", value, Limit(limit, f"{limit:,}", HERE))
    assert (left == right) <= (value == limit)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([8_030_261_248, 5_853_400_000, 12_345, 0], ["8.030 G", "5.853 G", "12.35 K", "0"]),
        ([929_600_000, 40_000_000, 7], ["929.6 M", "40.0 M", "7"]),
        ([9536, 20], ["9536", "20"]),
        ([], []),
        ([10**18, 5], ["1,000,000,000,000,000,000", "5"]),
    ],
)
def test_a_list_has_one_unit(values: list[int], shown: list[str]) -> None:
    assert in_one_unit(values) == shown


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
