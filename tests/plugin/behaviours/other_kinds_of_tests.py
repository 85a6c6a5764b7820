"""Tests of other kinds: unittest and threads."""

from __future__ import annotations

import unittest
from threading import Thread

import pytest

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
