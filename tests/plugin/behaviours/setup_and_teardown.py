"""Fixtures that measure: in setup, in teardown, and for longer than one test."""

from __future__ import annotations

import pytest

from .models import Net, X


@pytest.fixture
def over_in_setup(model_budget):
    return model_budget(Net(), X, macs="1K")


# expect error: Net: macs 22.00 K > 1 K
def test_the_fixture_works_in_the_setup_of_another(over_in_setup):
    pass


@pytest.fixture
def measured(model_budget):
    return model_budget(Net(), X)


# expect passed: modelbudget.Net.macs.limit = 22000
# and: modelbudget.Net.macs = 22000
@pytest.mark.budget(macs="22K")
def test_measuring_in_setup_is_enough_for_a_mark(measured):
    assert measured.macs == 22000


@pytest.fixture
def over_in_teardown(model_budget):
    yield
    model_budget(Net(), X, macs="1K")


# expect error: Net: macs 22.00 K > 1 K
def test_an_excess_in_teardown_fails(over_in_teardown):
    pass


@pytest.fixture(scope="module")
def measured_for_the_module(model_budget):
    return model_budget(Net(), X)


# expect error: ScopeMismatch
def test_the_fixture_is_for_one_test(measured_for_the_module):
    pass


@pytest.fixture(scope="module")
def model_of_the_module():
    return Net()


# expect passed: modelbudget.Net.macs.limit = 22000
# and: modelbudget.Net.macs = 22000
@pytest.mark.budget(macs="22K")
def test_a_model_of_the_module_can_be_measured(model_of_the_module, model_budget):
    model_budget(model_of_the_module, X)
