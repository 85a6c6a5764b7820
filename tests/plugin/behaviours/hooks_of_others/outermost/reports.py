"""Plugins that change the report of a test after everybody else: see conftest.py."""

from __future__ import annotations

import contextlib

import pytest

from ...models import Net, X


# expect error: Net: macs 22.00 K > 1 K
def test_a_plugin_that_turns_an_excess_last(model_budget):
    model_budget(Net(), X, macs="1K")


# expect error: Net: macs 22.00 K > 1 K
@pytest.mark.budget(macs="1K")
def test_a_plugin_that_turns_an_observed_excess_last():
    Net()(X)


# expect error: macs = 'lots' at
def test_a_plugin_that_turns_a_malformed_limit_last(model_budget):
    model_budget(Net(), X, macs="lots")


# expect error: macs = 'lots' at
def test_a_plugin_that_expects_to_fail_last(model_budget):
    model_budget(Net(), X, macs="lots")


# expect failed: Net: macs 22.00 K > 1 K
# and: not swallowed a
@pytest.mark.budget(macs="1K")
def test_a_plugin_that_tries_again_shows_an_excess_once():
    Net()(X)


# expect failed: the test swallowed a BudgetExceeded
# and: not swallowed a BudgetError
def test_a_plugin_that_tries_again_shows_what_was_swallowed_once(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs="1K")
