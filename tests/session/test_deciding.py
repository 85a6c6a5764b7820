"""What becomes of a test: a pure function of its contract, its record and how a phase of it ended."""

from __future__ import annotations

import unittest

import pytest

from pytest_modelbudget.budgets import Budget, BudgetError, BudgetExceeded, Limit, Place, Rules, judge
from pytest_modelbudget.measurement import Costs, Measurement, MeasurementError, ModuleCost
from pytest_modelbudget.results.measured import Measured
from pytest_modelbudget.session.one_test.contract import Contract
from pytest_modelbudget.session.one_test.deciding import Decision, Ending, decide
from pytest_modelbudget.session.one_test.record import Record

HERE = Place("test_model.py", 7, "@pytest.mark.budget")
MARKED = Contract((Rules({"macs": Limit(1, "1", HERE)}, place=HERE),), HERE, False)
UNMARKED = Contract((), HERE, True)
EXCESS = BudgetExceeded("Net: macs 22 > 1")
MALFORMED = BudgetError("macs = 'many'")
OWN = RuntimeError("the model's own")
KEEP, EXCUSE = Decision("keep"), Decision("excuse")


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
        found.fail(error, raised=raised)
    return found


def expected(raised: BaseException | None) -> Ending:
    """Return the ending of a call under an xfail that expects anything."""
    return Ending(raised, expects_excess=True, must_measure=True)


SKIPS = [pytest.skip.Exception("no GPU"), unittest.SkipTest("no GPU")]
XFAIL = pytest.xfail.Exception("known")


@pytest.mark.parametrize("error", [EXCESS, MALFORMED, OWN])
@pytest.mark.parametrize("raised", [None, *SKIPS, XFAIL, ValueError("another")], ids=repr)
def test_what_was_raised_and_is_not_shown_was_swallowed(error: Exception, raised: BaseException | None) -> None:
    decision = decide(UNMARKED, record(error), expected(raised))
    assert decision.verdict == "fail"
    assert str(decision.error).startswith(f"the test swallowed a {type(error).__name__}: {error}")


@pytest.mark.parametrize("error", [EXCESS, MALFORMED, OWN])
def test_a_test_that_fails_by_itself_is_told_nothing_more(error: Exception) -> None:
    ending = Ending(ValueError("mine"), fails=True, must_measure=True)
    assert decide(MARKED, record(error, measured=False), ending) == KEEP


@pytest.mark.parametrize("raised", [EXCESS, caused_by(EXCESS)])
def test_xfail_excuses_an_excess_if_it_expects_one(raised: Exception) -> None:
    assert decide(UNMARKED, record(EXCESS), expected(raised)) == EXCUSE
    assert decide(UNMARKED, record(EXCESS), Ending(raised)) == Decision("fail", EXCESS)


def test_xfail_excuses_what_is_the_models_own() -> None:
    assert decide(UNMARKED, record(OWN), expected(OWN)) == EXCUSE


@pytest.mark.parametrize("error", [MALFORMED, MeasurementError("no data")])
def test_xfail_excuses_nothing_else(error: Exception) -> None:
    assert decide(UNMARKED, record(error), expected(error)) == Decision("fail", error)
    assert decide(UNMARKED, record(EXCESS, error), expected(caused_by(error))).verdict == "fail"


def test_what_observing_found_is_raised_where_the_test_raises_nothing() -> None:
    seen = record(EXCESS, raised=False)
    assert decide(MARKED, seen, Ending()) == Decision("fail", EXCESS)
    assert decide(MARKED, seen, Ending(SKIPS[0])) == Decision("fail", EXCESS)
    assert decide(MARKED, seen, Ending(OWN)) == Decision("fail", EXCESS)
    assert decide(MARKED, seen, expected(None)) == Decision("excuse", EXCESS)
    assert decide(MARKED, seen, expected(SKIPS[0])) == Decision("excuse", EXCESS)
    assert decide(MARKED, seen, expected(OWN)) == EXCUSE
    assert decide(MARKED, seen, expected(XFAIL)) == EXCUSE


def test_what_was_decided_on_is_settled() -> None:
    settled = record(EXCESS)
    settled.decided = 1
    assert decide(UNMARKED, settled, Ending()) == KEEP


def test_a_mark_under_which_nothing_was_measured() -> None:
    assert "no model was measured" in str(decide(MARKED, record(measured=False), Ending(must_measure=True)).error)
    assert decide(MARKED, record(measured=False), expected(OWN)).verdict == "fail"
    assert decide(UNMARKED, record(measured=False), Ending(must_measure=True)) == KEEP


@pytest.mark.parametrize("raised", [*SKIPS, XFAIL], ids=repr)
def test_a_test_that_gives_up_owes_nothing_to_its_marks(raised: BaseException) -> None:
    assert decide(MARKED, record(measured=False), Ending(raised)) == KEEP
