"""Tests that hypothesis runs several times."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .models import Net, X

# Without shrinking and explaining, of which a failure would take a second.
quickly = settings(
    database=None,
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


# expect failed: Net: macs 22.00 K > 1 K
# and: not ; Net
@pytest.mark.budget(macs="1K")
@quickly
@given(st.integers())
def test_every_example_is_observed(n):
    Net()(X)


# expect passed: modelbudget.Net.macs = 22000
# and: modelbudget.Net.macs.limit = 22000
@pytest.mark.budget(macs="22K")
@quickly
@given(st.integers())
def test_every_example_is_within_its_budget(n):
    Net()(X)


# expect failed: Net: macs 22.00 K > 1 K
# and: not swallowed a
@quickly
@given(st.integers())
def test_an_excess_in_every_example(model_budget, n):
    model_budget(Net(), X, macs="1K")


# expect failed: swallowed a BudgetExceeded
@quickly
@given(st.integers())
def test_an_excess_swallowed_in_every_example(model_budget, n):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs="1K")


# expect xfailed: modelbudget.Net.macs = 22000
@pytest.mark.xfail
@quickly
@given(st.integers())
def test_xfail_excuses_an_excess_in_every_example(model_budget, n):
    model_budget(Net(), X, macs="1K")
