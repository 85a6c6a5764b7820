"""The mark itself: malformed, misspelt, another plugin's, or under its other name."""

from __future__ import annotations

import pytest

from .models import Net, X


# expect error: macs = '4.1g' at
@pytest.mark.budget(macs="4.1g")
def test_a_malformed_limit_is_an_error_in_setup():
    Net()(X)


# expect error: flop= at
@pytest.mark.budget(flop="4.1G")
def test_a_near_miss_is_an_error():
    Net()(X)


# expect error: a limit of what?
@pytest.mark.budget("4.1G")
def test_a_positional_limit_is_an_error():
    Net()(X)


# expect error: budget(180) at
@pytest.mark.budget(180)
def test_a_number_of_what():
    pass


# expect error: memory= at
@pytest.mark.budget(memory="1")
def test_a_metric_that_nobody_measures():
    pass


# expect error: budget('4.1g') at
@pytest.mark.budget("4.1g")
def test_a_positional_limit_with_a_wrong_prefix():
    Net()(X)


# expect error: budget({'params': 1}) at
@pytest.mark.budget({"params": 1})
def test_limits_in_a_dict():
    Net()(X)


# expect error: Did you mean flops=?
@pytest.mark.budget(forward_flops="1K")
def test_a_metric_with_a_word_too_many():
    Net()(X)


# expect error: max_usd= at
@pytest.mark.modelbudget(max_usd=3)
def test_the_alias_is_always_ours():
    Net()(X)


# expect failed: Net: macs
@pytest.mark.modelbudget(macs=1)
def test_the_alias_observes_too():
    Net()(X)
