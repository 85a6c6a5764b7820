"""A plugin that tries a test again while its report is made: see conftest.py."""

from __future__ import annotations

import contextlib

import pytest

from ...models import Net, X


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
