"""An expected failure excuses an excess, and nothing else."""

from __future__ import annotations

import pytest

from pytest_modelbudget import BudgetExceeded

from .models import Net, X


# expect xfailed: modelbudget.Net.macs = 22000
# and: modelbudget.Net.macs.limit = 1
@pytest.mark.xfail
@pytest.mark.budget(macs=1)
def test_xfail_excuses_an_observed_excess():
    Net()(X)


# expect xfailed: modelbudget.Net.macs = 22000
# and: modelbudget.Net.macs.limit = 1
@pytest.mark.xfail(raises=BudgetExceeded, strict=True)
def test_xfail_excuses_an_excess_of_the_fixture(model_budget):
    model_budget(Net(), X, macs=1)


# From pytest 8.4 on; before, what comes to the same.
RaisesExc = getattr(pytest, "RaisesExc", lambda kinds, match="": ValueError if match else kinds)


# expect xfailed: modelbudget.Net.macs.limit = 1
@pytest.mark.xfail(raises=RaisesExc(Exception), strict=True)
def test_xfail_that_describes_an_exception_excuses_an_excess(model_budget):
    model_budget(Net(), X, macs=1)


RaisesGroup = getattr(pytest, "RaisesGroup", lambda kind, **_: kind)


# expect xfailed: modelbudget.Net.macs.limit = 1
@pytest.mark.xfail(raises=RaisesGroup(BudgetExceeded, allow_unwrapped=True), strict=True)
def test_xfail_that_describes_a_group_or_what_it_holds_excuses_an_excess(model_budget):
    model_budget(Net(), X, macs=1)


# expect failed: Net: macs
@pytest.mark.xfail(raises=RaisesExc(BudgetExceeded, match="something else"))
def test_xfail_that_describes_another_excess_does_not_excuse_it(model_budget):
    model_budget(Net(), X, macs=1)


# expect failed: Net: macs
@pytest.mark.xfail(raises=RaisesExc((ValueError, TypeError)))
@pytest.mark.budget(macs=1)
def test_xfail_that_describes_other_errors_does_not_excuse_an_excess():
    Net()(X)
    raise ValueError("expected")


# expect failed: Net: macs
@pytest.mark.xfail(raises=ValueError)
@pytest.mark.budget(macs=1)
def test_xfail_of_another_error_does_not_excuse_an_excess():
    Net()(X)
    raise ValueError("expected")


# expect error: macs = 'many' at
@pytest.mark.xfail
@pytest.mark.budget(macs="many")
def test_xfail_excuses_no_malformed_mark():
    Net()(X)


# expect failed: no model was measured
@pytest.mark.xfail
@pytest.mark.budget(macs="1G")
def test_xfail_excuses_no_mark_that_measured_nothing():
    pass


# expect failed: no model was measured
@pytest.mark.xfail
@pytest.mark.budget(macs="1G")
def test_xfail_excuses_no_error_before_anything_was_measured():
    raise RuntimeError("early")


# expect failed: swallowed a BudgetExceeded
@pytest.mark.xfail
def test_xfail_excuses_no_swallowed_excess(model_budget):
    try:
        model_budget(Net(), X, macs=1)
    except AssertionError:
        pass
    raise RuntimeError("something else")


# expect xfailed: [NOTRUN]
# and: no properties
@pytest.mark.xfail(run=False)
@pytest.mark.budget(macs=1)
def test_xfail_that_is_not_to_run_owes_nothing():
    Net()(X)


# expect xfailed: modelbudget.Net.macs = 22000
# and: modelbudget.Net.macs.limit = 22000
@pytest.mark.xfail
@pytest.mark.budget(macs="22K")
def test_xfail_still_excuses_what_is_the_tests_own():
    Net()(X)
    raise RuntimeError("known")


# expect failed: Net: macs
@pytest.mark.xfail(False, reason="does not apply")
@pytest.mark.xfail(raises=ValueError)
@pytest.mark.budget(macs=1)
def test_an_xfail_that_does_not_apply_excuses_nothing():
    Net()(X)
    raise ValueError("expected")


# expect xfailed: modelbudget.Net.macs = 22000
@pytest.mark.budget(macs=1)
def test_a_call_of_xfail_excuses_what_was_observed():
    Net()(X)
    pytest.xfail("known to be too large")
