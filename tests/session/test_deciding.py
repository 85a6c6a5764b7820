"""What a test still has to fail with: a pure function of its contract, its record and how its call ended."""

from __future__ import annotations

import unittest

import pytest

from pytest_modelbudget.budgets import Budget, BudgetError, BudgetExceeded, Limit, Place, Rules, judge
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost
from pytest_modelbudget.session.one_test.contract import Contract
from pytest_modelbudget.session.one_test.deciding import Outcome, conclude, lost_failure
from pytest_modelbudget.session.one_test.record import Measured, Record

HERE = Place("test_model.py", 7, "@pytest.mark.budget")
MARKED = Contract((Rules({"macs": Limit(1, "1", HERE)}, place=HERE),), HERE, False, ())
UNMARKED = Contract((), HERE, True, ())
EXCESS = BudgetExceeded("Net: macs 22 > 1")
MALFORMED = BudgetError("macs = 'many'")
OWN = RuntimeError("the model's own")


def caused_by(cause: BaseException) -> RuntimeError:
    error = RuntimeError("too big")
    error.__cause__ = cause
    return error


def record(*failures: Exception, raised: bool = True, measured: bool = True) -> Record:
    found = Record()
    if measured:
        tree = ModuleCost("", "Net", 1, Costs(1), Costs(1))
        measurement = Measurement("Net", 1, 1, 4, tree)
        found.measured.append(Measured(judge(measurement, Budget()), measurement, "Net"))
    for error in failures:
        found.fail(error, raised=raised, excusable=None if error is not OWN else True)
    return found


SKIPS = [pytest.skip.Exception("no GPU"), unittest.SkipTest("no GPU"), pytest.xfail.Exception("known")]


@pytest.mark.parametrize("error", [EXCESS, MALFORMED, OWN])
@pytest.mark.parametrize("raised", [None, *SKIPS], ids=repr)
def test_what_was_raised_and_is_not_shown_was_swallowed(error: Exception, raised: BaseException | None) -> None:
    left = conclude(UNMARKED, record(error), Outcome(raised, expects_excess=True))
    assert str(left).startswith(f"the test swallowed a {type(error).__name__}: {error}")


@pytest.mark.parametrize("error", [EXCESS, MALFORMED, OWN])
def test_a_test_that_fails_by_itself_is_told_nothing_more(error: Exception) -> None:
    assert conclude(MARKED, record(error, measured=False), Outcome(ValueError("mine"), fails=True)) is None


@pytest.mark.parametrize("raised", [EXCESS, caused_by(EXCESS)])
def test_xfail_excuses_an_excess_if_it_expects_one(raised: Exception) -> None:
    assert conclude(UNMARKED, record(EXCESS), Outcome(raised, expects_excess=True)) is None
    assert conclude(UNMARKED, record(EXCESS), Outcome(raised)) is EXCESS


def test_xfail_excuses_what_is_the_models_own() -> None:
    assert conclude(UNMARKED, record(OWN), Outcome(OWN, expects_excess=True)) is None


def test_xfail_excuses_nothing_else() -> None:
    assert conclude(UNMARKED, record(MALFORMED), Outcome(MALFORMED, expects_excess=True)) is MALFORMED


def test_what_observing_found_is_raised_where_the_test_raises_nothing() -> None:
    assert conclude(MARKED, record(EXCESS, raised=False), Outcome()) is EXCESS
    assert conclude(MARKED, record(EXCESS, raised=False), Outcome(SKIPS[0])) is EXCESS
    assert conclude(MARKED, record(EXCESS, raised=False), Outcome(OWN, expects_excess=True)) is None
    assert conclude(MARKED, record(EXCESS, raised=False), Outcome(OWN)) is EXCESS


def test_what_a_report_has_shown_is_settled() -> None:
    settled = record(EXCESS)
    settled.settle()
    assert conclude(UNMARKED, settled, Outcome()) is None
    assert lost_failure(settled, Outcome()) is None


def test_a_mark_under_which_nothing_was_measured() -> None:
    assert "no model was measured" in str(conclude(MARKED, record(measured=False), Outcome()))
    assert "no model was measured" in str(conclude(MARKED, record(measured=False), Outcome(OWN, expects_excess=True)))
    assert conclude(UNMARKED, record(measured=False), Outcome()) is None


@pytest.mark.parametrize("raised", SKIPS, ids=repr)
def test_a_test_that_gives_up_owes_nothing_to_its_marks(raised: BaseException) -> None:
    assert conclude(MARKED, record(measured=False), Outcome(raised)) is None
