"""What is lost in setup and teardown, beside skips and xfails of the other phases."""

from __future__ import annotations

import contextlib
import unittest

import pytest

from .models import Net, X


@pytest.fixture
def swallowed(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs=1)


@pytest.fixture
def skips(swallowed):
    pytest.skip("no GPU here")


# expect error: swallowed a BudgetExceeded
def test_a_skip_in_setup_after_a_swallowed_excess(skips):
    pass


@pytest.fixture
def xfails(swallowed):
    pytest.xfail("known")


# expect error: swallowed a BudgetExceeded
def test_a_call_of_xfail_in_setup_after_a_swallowed_excess(xfails):
    pass


@pytest.fixture
def over(model_budget):
    model_budget(Net(), X, macs=1)


# expect xfailed: modelbudget.Net.macs = 22000
@pytest.mark.xfail
def test_xfail_excuses_an_excess_in_setup(over):
    pass


@pytest.fixture
def malformed(model_budget):
    model_budget(Net(), X, macs="lots")


# expect error: macs = 'lots' at
@pytest.mark.xfail
def test_xfail_excuses_no_malformed_limit_in_setup(malformed):
    pass


# expect failed: swallowed a BudgetExceeded
@pytest.mark.xfail
def test_xfail_excuses_nothing_that_setup_swallowed(swallowed):
    raise RuntimeError("known")


# expect failed: swallowed a BudgetExceeded
def test_a_skip_after_setup_swallowed_an_excess(swallowed):
    pytest.skip("no GPU here")


@pytest.fixture
def malformed_in_teardown(model_budget):
    yield
    model_budget(Net(), X, macs="lots")


# expect error: macs = 'lots' at
@pytest.mark.xfail
def test_xfail_excuses_no_malformed_limit_in_teardown(malformed_in_teardown):
    pass


@pytest.fixture
def skips_in_teardown(model_budget):
    yield
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs=1)
    pytest.skip("done")


# expect error: swallowed a BudgetExceeded
def test_a_skip_in_teardown_after_a_swallowed_excess(skips_in_teardown):
    pass


@pytest.fixture
def bare_except_in_teardown(model_budget):
    yield
    try:  # noqa: SIM105
        model_budget(Net(), X, macs=1)
    except:  # noqa: E722
        pass


# expect error: swallowed a BudgetExceeded
def test_a_bare_except_in_teardown(bare_except_in_teardown):
    pass


# expect error: swallowed a BudgetExceeded
def test_a_bare_except_in_the_teardown_of_a_skipped_test(bare_except_in_teardown):
    pytest.skip("no GPU here")


@pytest.fixture
def finalized(request, model_budget):
    def swallow() -> None:
        with contextlib.suppress(AssertionError):
            model_budget(Net(), X, macs=1)

    request.addfinalizer(swallow)  # noqa: PT021


# expect error: swallowed a BudgetExceeded
def test_a_finalizer_that_swallows(finalized):
    pass


class TestPhasesOfUnittest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _budget(self, model_budget):
        self.model_budget = model_budget

    def swallow(self) -> None:
        with contextlib.suppress(AssertionError):
            self.model_budget(Net(), X, macs=1)

    def setUp(self):
        if "set_up" in self._testMethodName:
            self.swallow()

    def tearDown(self):
        if "tear_down" in self._testMethodName:
            self.swallow()

    # expect failed: swallowed a BudgetExceeded
    def test_what_set_up_swallows(self):
        pass

    # expect failed: swallowed a BudgetExceeded
    def test_what_set_up_swallows_before_a_skip(self):
        self.skipTest("no GPU here")

    # expect failed: swallowed a BudgetExceeded
    def test_what_tear_down_swallows(self):
        pass

    # expect failed: swallowed a BudgetExceeded
    def test_what_tear_down_swallows_after_a_skip(self):
        self.skipTest("no GPU here")

    # expect failed: swallowed a BudgetExceeded
    @unittest.expectedFailure
    def test_what_tear_down_swallows_after_an_expected_failure(self):
        self.fail("known")

    # expect failed: swallowed a BudgetExceeded
    def test_what_a_cleanup_swallows(self):
        self.addCleanup(self.swallow)

    # expect failed: Net: macs 22.00 K > 1 K
    @unittest.expectedFailure
    def test_an_excess_in_a_cleanup_is_no_expected_failure(self):
        self.addCleanup(self.model_budget, Net(), X, macs="1K")


class TestMarkedSetUp(unittest.TestCase):
    def setUp(self):
        self.out = Net()(X)

    # expect failed: Net: macs 22.00 K > 1 K
    @pytest.mark.budget(macs="1K")
    def test_what_set_up_calls_is_observed(self):
        pass


class TestAsynchronous(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def _budget(self, model_budget):
        self.model_budget = model_budget

    # expect failed: swallowed a BudgetExceeded
    async def test_an_asynchronous_testcase_that_swallows(self):
        with self.assertRaises(AssertionError):  # noqa: PT027
            self.model_budget(Net(), X, macs=1)


class TestObservedAsynchronously(unittest.IsolatedAsyncioTestCase):
    # expect failed: Net: macs 22.00 K > 1 K
    @pytest.mark.budget(macs="1K")
    async def test_an_asynchronous_testcase_is_observed(self):
        Net()(X)
