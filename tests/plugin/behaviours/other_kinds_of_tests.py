"""Tests of other kinds: unittest, pytest-check and threads."""

from __future__ import annotations

import contextlib
import unittest
from threading import Thread

import pytest
from pytest_check import check

from .models import Net, X


# expect failed: Net: macs 22.00 K > 1 K
class TestObserved(unittest.TestCase):
    @pytest.mark.budget(macs="1K")
    def test_a_testcase_is_observed(self):
        Net()(X)


class TestWithTheFixture(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _budget(self, model_budget):
        self.model_budget = model_budget

    # expect failed: Net: macs 22.00 K > 1 K
    def test_a_testcase_can_use_the_fixture(self):
        self.model_budget(Net(), X, macs="1K")

    # expect failed: swallowed a BudgetExceeded
    def test_a_testcase_that_swallows_fails(self):
        with self.assertRaises(AssertionError):
            self.model_budget(Net(), X, macs="1K")


# expect failed: thread
@pytest.mark.budget(macs="1G")
def test_a_module_called_in_another_thread_fails():
    model = Net()
    model(X)
    thread = Thread(target=model, args=(X,))
    thread.start()
    thread.join()


class TestGivesUp(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _budget(self, model_budget):
        self.model_budget = model_budget

    def swallow(self) -> None:
        with contextlib.suppress(AssertionError):
            self.model_budget(Net(), X, macs="1K")

    # expect failed: swallowed a BudgetExceeded
    def test_a_testcase_that_swallows_and_skips_fails(self):
        self.swallow()
        self.skipTest("whatever")

    # expect failed: swallowed a BudgetExceeded
    def test_a_testcase_that_swallows_and_raises_a_skip_fails(self):
        self.swallow()
        raise unittest.SkipTest("whatever")

    # expect failed: swallowed a BudgetExceeded
    @unittest.expectedFailure
    def test_an_expected_failure_that_swallows_fails(self):
        self.swallow()
        self.fail("something else")

    # expect failed: macs = 'lots' at
    @unittest.expectedFailure
    def test_an_expected_failure_excuses_no_malformed_limit(self):
        self.model_budget(Net(), X, macs="lots")

    # expect xfailed: modelbudget.Net.macs = 22000
    @unittest.expectedFailure
    def test_an_expected_failure_excuses_an_excess(self):
        self.model_budget(Net(), X, macs="1K")

    # expect failed: swallowed a BudgetExceeded
    @pytest.mark.xfail
    def test_a_testcase_that_swallows_under_xfail_fails(self):
        self.swallow()
        self.fail("something else")

    # expect xfailed: modelbudget.Net.macs = 22000
    @pytest.mark.xfail
    def test_xfail_excuses_an_excess_of_a_testcase(self):
        self.model_budget(Net(), X, macs="1K")

    # expect failed: AssertionError: mine
    # and: not swallowed a
    def test_a_testcase_that_fails_by_itself_is_told_nothing_more(self):
        self.swallow()
        self.fail("mine")


class TestUnderAMark(unittest.TestCase):
    # expect failed: no model was measured
    @pytest.mark.budget(macs="1K")
    @unittest.expectedFailure
    def test_an_expected_failure_before_anything_was_measured(self):
        self.fail("early")

    # expect failed: no model was measured
    @pytest.mark.budget(macs="1K")
    @pytest.mark.xfail
    def test_xfail_of_a_testcase_before_anything_was_measured(self):
        self.fail("early")

    # expect failed: Net: macs 22.00 K > 1 K
    @pytest.mark.budget(macs="1K")
    def test_an_excess_before_the_skip_of_a_testcase_fails(self):
        Net()(X)
        self.skipTest("done")

    # expect failed: AssertionError: mine
    # and: not no model was measured
    @pytest.mark.budget(macs="1K")
    def test_a_testcase_that_fails_early_is_told_nothing_of_its_mark(self):
        self.fail("mine")

    # expect skipped: no properties
    @pytest.mark.budget(macs="1K")
    def test_a_testcase_that_skips_itself_owes_nothing(self):
        self.skipTest("no GPU here")


# expect failed: Net: macs 22.00 K > 1 K
# and: not swallowed a
def test_pytest_check_shows_an_excess(model_budget):
    with check:
        model_budget(Net(), X, macs="1K")


# expect failed: check 1 == 2
# and: not swallowed a
def test_a_test_with_failed_checks_is_told_nothing_more(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs="1K")
    check.equal(1, 2)


# expect failed: check 1 == 2
# and: not no model was measured
@pytest.mark.budget(macs="1K")
def test_failed_checks_come_before_an_unmet_mark():
    check.equal(1, 2)
