"""An excess that the test catches is not forgotten."""

from __future__ import annotations

import pytest

from .models import Net, X


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
