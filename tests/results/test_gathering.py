"""The results of a run: one for each model and its inputs, over all tests."""

from __future__ import annotations

import itertools

from pytest_modelbudget.budgets import Budget, Check, Limit, Place, Table, judge
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, TensorSpec
from pytest_modelbudget.results import Result, TestResult, decode, encode, gather

HERE = Place("here")
BATCH = {rows: (TensorSpec("args[0]", (rows, 100), "float32"),) for rows in (1, 4)}


def limit(value: int) -> Limit:
    return Limit(value, f"{value:,}", HERE)


def result(
    name: str = "net",
    limit_of_macs: int | None = None,
    *,
    named: bool = True,
    macs: int | None = 100,
    params: int = 10,
    rows: int | None = 1,
    table: Table | None = None,
) -> Result:
    own = Costs(params, params, macs, None if macs is None else 2 * macs, weight_bytes=4 * params)
    tree = ModuleCost("", "Net", 1, own, own)
    inputs = () if rows is None or macs is None else BATCH[rows]
    measured = Measurement(
        name, params, params, 4 * params, tree, own.macs, own.flops, inputs=inputs, named=named, run="shape"
    )
    budget = Budget({"macs": limit(limit_of_macs)} if limit_of_macs is not None else {})
    return Result.of(judge(measured, budget, table), measured)


def of_tests(**found: list[Result]) -> dict[str, TestResult]:
    return {name: TestResult(tuple(results)) for name, results in found.items()}


def test_models_do_not_depend_on_the_order_of_arrival() -> None:
    found = {
        "test_a.py::test[2]": TestResult((result("a", 120),)),
        "test_a.py::test[10]": TestResult((result("a", 110), result("b"))),
        "test_b.py::test": TestResult((result("a", macs=None), result("Net", named=False, macs=7))),
        "test_c.py::test": TestResult((result("Net", named=False, macs=8),)),
    }
    expected = gather(found)
    assert [(model.name, model.tests) for model in expected.models] == [
        ("a", ("test_a.py::test[2]", "test_a.py::test[10]", "test_b.py::test")),
        ("b", ("test_a.py::test[10]",)),
        ("Net", ("test_b.py::test",)),
        ("Net", ("test_c.py::test",)),
    ]
    assert expected.tests == tuple(found)
    for order in itertools.permutations(found):
        assert gather({test: found[test] for test in order}) == expected


def test_a_model_has_the_tightest_limit() -> None:
    (model,) = gather(of_tests(a=[result("net", 120)], b=[result("net", 90)], c=[result()])).models
    assert model.verdict.checks[2] == Check("macs", 100, limit(90))
    assert [problem.limit for problem in model.verdict.over] == [limit(90)]


def test_a_looser_excess_does_not_hide_a_tighter_one() -> None:
    (model,) = gather(of_tests(a=[result("net", 90)], b=[result("net", 80)], c=[result("net", 95)])).models
    assert [problem.limit for problem in model.verdict.problems] == [limit(80)]


def test_a_problem_of_one_test_is_one_of_the_model() -> None:
    (model,) = gather(of_tests(a=[result("net", 90, macs=None)], b=[result("net", 120)])).models
    assert [problem.kind for problem in model.verdict.problems] == ["not_measured"]


def test_a_budget_in_one_test_is_a_budget() -> None:
    table = Table(unbudgeted="warn")
    (model,) = gather(of_tests(a=[result("net", table=table)], b=[result("net", 120)])).models
    assert not model.verdict.problems
    (model,) = gather(of_tests(a=[result("net", table=Table(unbudgeted="error"))], b=[result("net", 120)])).models
    assert [problem.kind for problem in model.verdict.errors] == ["unbudgeted"]


def test_an_excess_is_excused_where_every_test_expects_it() -> None:
    expected = TestResult((result("net", 90),), excused=True)
    (model,) = gather({"a": expected, "b": TestResult((result("net", 120),))}).models
    assert model.excused
    (model,) = gather({"a": expected, "b": TestResult((result("net", 95),))}).models
    assert not model.excused


def test_other_inputs_are_another_result_of_the_same_model() -> None:
    run = gather(of_tests(a=[result(macs=100, rows=1)], b=[result(macs=400, rows=4)]))
    assert [model.inputs for model in run.models] == [BATCH[1], BATCH[4]]
    assert not run.contradictions


def test_two_measurements_of_one_name_at_the_same_inputs_contradict_each_other() -> None:
    run = gather(of_tests(a=[result()], b=[result(macs=101)], c=[result(macs=None)], d=[result("x", named=False)]))
    ((one, other),) = run.contradictions
    assert (one.tests, other.tests) == (("a", "c"), ("b",))


def test_weights_do_not_depend_on_inputs() -> None:
    run = gather(of_tests(a=[result(rows=1)], b=[result(macs=None, params=11)]))
    ((one, other),) = run.contradictions
    assert (one.tests, other.tests) == (("a",), ("b",))


def test_implicit_names_never_contradict_each_other() -> None:
    run = gather(of_tests(a=[result(named=False)], b=[result(named=False, macs=5)]))
    assert len(run.models) == 2
    assert not run.contradictions


def test_the_measurement_that_knows_most_is_kept() -> None:
    (model,) = gather(of_tests(a=[result(macs=None)], b=[result()])).models
    assert model.measurement == result().measurement


def test_results_cross_processes_as_json() -> None:
    found = TestResult((result("net", 10**24), result(macs=10**25)), excused=True)
    assert decode(encode(found)) == found
    assert decode(encode(TestResult(skipped=True))) == TestResult(skipped=True)


def test_a_run_that_misses_nothing_is_complete() -> None:
    assert gather({}).complete
    assert not gather({}, incomplete={"deselected": ""}).complete
