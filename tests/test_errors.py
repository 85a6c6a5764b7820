"""The errors of the public API: where they live, and that they cross from one process to another."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from torch import nn

import pytest_modelbudget
from pytest_modelbudget import BudgetError, BudgetExceeded, MeasurementError, measure
from pytest_modelbudget.budgets import Verdict
from pytest_modelbudget.counting.errors import NotRestoredError


@pytest.mark.parametrize("kind", [BudgetError, BudgetExceeded, MeasurementError])
def test_they_live_where_they_are_imported_from(kind: type[Exception]) -> None:
    assert getattr(pytest_modelbudget, kind.__name__) is kind
    assert kind.__module__ == "pytest_modelbudget"


@pytest.mark.parametrize("kind", [BudgetError, BudgetExceeded, MeasurementError, NotRestoredError])
def test_they_pickle(kind: type[Exception]) -> None:
    copy = pickle.loads(pickle.dumps(kind("what happened")))
    assert (type(copy), str(copy)) == (kind, "what happened")


def test_an_excess_pickles_with_its_verdicts() -> None:
    copy = pickle.loads(pickle.dumps(BudgetExceeded("too large", (Verdict("net", True, ()),))))
    assert copy.verdicts == (Verdict("net", True, ()),)


def cannot_be_measured() -> None:
    measure(lambda: nn.LazyLinear(4))


def test_they_cross_a_process_pool() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(MeasurementError, match="LazyLinear has lazy modules"),
    ):
        pool.submit(cannot_be_measured).result()


def test_an_error_outside_of_a_test_under_a_budget_is_short_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        from torch import nn
        from pytest_modelbudget import measure

        def test_it():
            measure(lambda: nn.LazyLinear(4))
        """
    )
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["E  *MeasurementError: * has lazy modules, which need inputs*"])
    result.stdout.fnmatch_lines(["FAILED test_*::test_it - MeasurementError: *"])
    result.stdout.no_fnmatch_line("*pytest_modelbudget.MeasurementError*")
