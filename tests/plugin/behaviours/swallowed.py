"""A failure that the test catches is not forgotten: an excess, a limit that means nothing, a measurement that failed."""

from __future__ import annotations

import contextlib
import threading
import unittest

import pytest
import torch

from .models import Choosy, Net, X


# expect failed: swallowed a BudgetExceeded: Net: macs
def test_a_swallowed_excess_fails(model_budget):
    with pytest.raises(AssertionError):
        model_budget(Net(), X, macs=1)


# expect failed: RuntimeError: too big
def test_an_excess_as_a_cause_is_not_swallowed(model_budget):
    try:
        model_budget(Net(), X, macs=1)
    except AssertionError as error:
        raise RuntimeError("too big") from error


# expect failed: swallowed a BudgetExceeded
def test_an_excess_swallowed_before_a_skip_fails(model_budget):
    try:
        model_budget(Net(), X, macs=1)
    except AssertionError:
        pytest.skip("whatever")


@pytest.fixture
def swallowing_setup(model_budget):
    try:
        model_budget(Net(), X, macs=1)
    except AssertionError:
        pass


# expect failed: swallowed a BudgetExceeded
def test_an_excess_swallowed_in_setup_fails(swallowing_setup):
    pass


@pytest.fixture
def swallowing_teardown(model_budget):
    yield
    try:
        model_budget(Net(), X, macs="1K")
    except AssertionError:
        pass


# expect error: swallowed a BudgetExceeded
def test_an_excess_swallowed_in_teardown_fails(swallowing_teardown):
    pass


# expect failed: swallowed a BudgetError: macs = 'lots' at
def test_a_swallowed_malformed_limit_fails(model_budget):
    try:
        model_budget(Net(), X, macs="lots")
    except Exception:
        pass


# expect failed: swallowed a BudgetError: mac= at
def test_a_swallowed_misspelt_metric_fails(model_budget):
    with contextlib.suppress(Exception):
        model_budget(Net(), X, mac="1G")


# expect failed: swallowed a BudgetError: Net: macs is limited
def test_a_swallowed_limit_that_was_not_checked_fails(model_budget):
    with pytest.raises(ValueError, match="not measured"):
        model_budget(Net(), macs=1)


# expect failed: swallowed a RuntimeError
# and: mat1 and mat2 shapes cannot be multiplied
def test_a_swallowed_error_of_the_model_fails(model_budget):
    with pytest.raises(RuntimeError):
        model_budget(Net(), torch.zeros(1, 99), macs="1G")


# expect failed: swallowed a MeasurementError
def test_a_swallowed_failed_measurement_fails(model_budget):
    with contextlib.suppress(Exception):
        model_budget(Choosy().to("meta"), X.to("meta"), macs="1M")


# expect failed: swallowed a TypeError
def test_a_swallowed_wrong_call_fails(model_budget):
    with contextlib.suppress(TypeError):
        model_budget(3, X, macs="1M")


# expect failed: swallowed a BudgetExceeded
def test_an_excess_swallowed_in_a_thread_fails(model_budget):
    def measure():
        with contextlib.suppress(AssertionError):
            model_budget(Net(), X, macs=1)

    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()


# expect failed: swallowed a BudgetExceeded
def test_an_excess_swallowed_before_unittests_skip_fails(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs=1)
    raise unittest.SkipTest("whatever")


# expect failed: swallowed a BudgetExceeded
def test_an_excess_swallowed_before_a_call_of_xfail_fails(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs=1)
    pytest.xfail("whatever")


# expect failed: swallowed a BudgetExceeded
def test_an_excess_turned_into_a_call_of_xfail_fails(model_budget):
    try:
        model_budget(Net(), X, macs=1)
    except AssertionError:
        pytest.xfail("known")


# expect failed: AssertionError: mine
# and: not swallowed a
def test_a_test_that_fails_by_itself_is_told_nothing_of_swallowing(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs=1)
    raise AssertionError("mine")


@pytest.fixture
def swallowing_a_malformed_limit_in_teardown(model_budget):
    yield
    with contextlib.suppress(Exception):
        model_budget(Net(), X, macs="lots")


# expect error: swallowed a BudgetError: macs = 'lots' at
def test_a_malformed_limit_swallowed_in_teardown_fails(swallowing_a_malformed_limit_in_teardown):
    pass
