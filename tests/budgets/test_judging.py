"""Verdicts, and the rows that many of them make."""

from __future__ import annotations

import itertools
from dataclasses import replace

import msgspec
import pytest

from pytest_modelbudget.budgets import Budget, Limit, MetricVerdict, Place, Table, Verdict, conflicts, gather, judge
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost

HERE = Place("here")


def limit(value: int) -> Limit:
    return Limit(value, f"{value:,}", HERE)


def measured(name: str = "net", *, named: bool = True, macs: int | None = 100, **more: object) -> Measurement:
    tree = ModuleCost("", "Net", 1, Costs(10), Costs(10))
    flops = None if macs is None else 2 * macs
    return Measurement(name, 10, 10, 40, tree, macs, flops, named=named, **more)  # type: ignore[arg-type]


def verdict(name: str = "net", limit_of_macs: int | None = None, **more: object) -> Verdict:
    budget = Budget({"macs": limit(limit_of_macs)} if limit_of_macs is not None else {})
    return judge(measured(name, **more), budget)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("budget", "status"),
    [
        (Budget(), "unbudgeted"),
        (Budget({"macs": limit(100)}), "within"),
        (Budget({"macs": limit(99)}), "over"),
        (Budget({}, {"macs": limit(100)}), "within"),
        (Budget({"macs": limit(100)}, {"macs": limit(99)}), "warn"),
        (Budget({"macs": limit(50)}, {"macs": limit(40)}), "over"),
    ],
)
def test_status(budget: Budget, status: str) -> None:
    assert judge(measured(), budget).status == status


def test_an_unknown_operator_makes_a_lower_bound() -> None:
    unknown = (OperatorCost("ns::op", "layer", 2, 0), OperatorCost("ns::op", "", 1, 0))
    found = judge(measured(unknown=unknown), Budget({"macs": limit(100)}), Table(unknown_ops="warn"))
    assert (found.status, found.unknown_ops) == ("unknown", "warn")
    assert found.unknown == ("ns::op in layer (2 calls)", "ns::op in net (1 call)")
    assert judge(measured(unknown=unknown), Budget({"macs": limit(99)})).status == "over"


def test_a_limit_on_what_was_not_measured_is_unchecked() -> None:
    found = judge(measured(macs=None), Budget({"macs": limit(1)}))
    assert [metric.metric for metric in found.unchecked] == ["macs"]
    assert not found.over


def test_verdicts_cross_processes_as_builtins() -> None:
    found = judge(measured(macs=10**25), Budget({"macs": limit(10**24)}, {"params": limit(3)}, "Ask."))
    assert msgspec.convert(msgspec.to_builtins(found), Verdict) == found


def test_rows_do_not_depend_on_the_order_of_arrival() -> None:
    results = {
        "test_a.py::test[2]": [verdict("a", 120)],
        "test_a.py::test[10]": [verdict("a", 110), verdict("b")],
        "test_b.py::test": [verdict("a", macs=None), verdict("Net", named=False, macs=7)],
        "test_c.py::test": [verdict("Net", named=False, macs=8)],
    }
    expected = gather(results)
    assert [(row.verdict.model, row.tests) for row in expected] == [
        ("a", ("test_a.py::test[2]", "test_a.py::test[10]", "test_b.py::test")),
        ("b", ("test_a.py::test[10]",)),
        ("Net", ("test_b.py::test",)),
        ("Net", ("test_c.py::test",)),
    ]
    for order in itertools.permutations(results):
        assert gather({test: results[test] for test in order}) == expected


def test_a_row_shows_the_tightest_limit() -> None:
    (row,) = gather({"1": [verdict(limit_of_macs=120)], "2": [verdict(limit_of_macs=90)], "3": [verdict()]})
    assert row.verdict.metrics[2] == MetricVerdict("macs", 100, limit(90))
    assert row.verdict.status == "over"


def test_an_excess_is_excused_where_every_test_expects_it() -> None:
    def expected(one: Verdict) -> Verdict:
        return replace(one, excused=True)

    (row,) = gather({"1": [expected(verdict(limit_of_macs=90))], "2": [verdict(limit_of_macs=120)]})
    assert row.verdict.excused
    (row,) = gather({"1": [expected(verdict(limit_of_macs=90))], "2": [verdict(limit_of_macs=95)]})
    assert not row.verdict.excused


def test_one_name_for_two_measurements_is_a_conflict() -> None:
    rows = gather(
        {"1": [verdict()], "2": [verdict(macs=101)], "3": [verdict(macs=None)], "4": [verdict("x", named=False)]}
    )
    ((one, other),) = conflicts(rows)
    assert (one.tests, other.tests) == (("1", "3"), ("2",))


def test_implicit_names_never_conflict() -> None:
    assert not conflicts(gather({"1": [verdict(named=False)], "2": [verdict(named=False, macs=5)]}))
