"""Hooks of the project, or of another plugin, around a test under a budget: see conftest.py."""

from __future__ import annotations

import contextlib

import pytest

from ..models import Head, Net, X


# expect failed: Net: macs 22.00 K > 1 K
def test_a_mark_added_while_collecting():
    Net()(X)


# expect error: macs = 'lots' at
def test_a_malformed_mark_added_while_collecting():
    Net()(X)


# expect failed: no model was measured
def test_a_mark_added_while_collecting_and_no_model():
    pass


# expect failed: Net: macs 22.00 K > 1 K
def test_a_mark_added_before_setup():
    Net()(X)


# expect error: a mark that is added when the call of the test has begun
def test_a_mark_added_around_the_call():
    Net()(X)


# expect error: a mark that is added when the call of the test has begun
def test_a_mark_added_around_the_call_of_a_test_with_the_fixture(model_budget):
    model_budget(Net(), X)


# expect failed: Net: macs 22.00 K > 1 K
@pytest.mark.budget(macs="1K")
async def test_a_coroutine_is_observed():
    Net()(X)


# expect failed: Net: macs 22.00 K > 1 K
async def test_a_coroutine_can_use_the_fixture(model_budget):
    model_budget(Net(), X, macs="1K")


# expect failed: swallowed a BudgetExceeded
async def test_a_coroutine_that_swallows(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs="1K")


TIMES: list[object] = []


# expect failed: Net: macs 22.00 K > 1 K
@pytest.mark.budget(macs="1K")
def test_an_excess_is_one_once_more():
    Net()(X)


# expect failed: swallowed a BudgetExceeded
def test_swallowing_fails_once_more(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs="1K")


# expect failed: macs = 'lots' at
def test_a_malformed_limit_is_one_once_more(model_budget):
    model_budget(Net(), X, macs="lots")


# expect passed: modelbudget.Head.params = 22
# and: modelbudget.Head.params.limit = 22
@pytest.mark.budget(params=22)
def test_what_is_fine_once_more(model_budget):
    TIMES.append(1)
    if len(TIMES) == 1:
        raise RuntimeError("flaky")
    model_budget(Head())


# expect failed: no model was measured
@pytest.mark.budget(params=22)
def test_a_model_of_the_first_run_is_not_that_of_once_more():
    TIMES.append("observed")
    if TIMES.count("observed") == 1:
        Head()(X[:, :10])
        raise RuntimeError("flaky")
