"""The fixture: what it returns, and which limits it judges."""

from __future__ import annotations

import pytest

from .models import Head, Net, X, net


# expect passed: modelbudget.Net.macs = 22000
# and: modelbudget.Net.macs.limit = 22000
# and: modelbudget.Net.params.limit = 22210
def test_the_fixture_returns_the_measurement(model_budget):
    found = model_budget(Net(), (X,), macs="22K", params=22210)
    assert (found.params, found.macs, found.flops) == (22210, 22000, 44000)


# expect failed: net: macs 22.00 K > 21 K
# and: the_fixture.py:21 model_budget()
def test_the_fixture_takes_a_factory(model_budget):
    model_budget(net, input_size=(1, 100), macs="21K")


# expect failed: Net: macs 22.00 K > 21 K
@pytest.mark.budget(macs="21K")
def test_marks_are_limits_for_the_fixture(model_budget):
    model_budget(Net(), X)


# expect passed: modelbudget.Net.macs.limit = 22000
@pytest.mark.budget(macs="21K")
def test_arguments_of_the_call_win(model_budget):
    model_budget(Net(), X, macs="22K")


# expect passed: modelbudget.Head.params.limit = 22
# and: no modelbudget.Net.params
@pytest.mark.budget(params=22)
def test_what_else_runs_beside_the_fixture_is_not_observed(model_budget):
    Net()(X)
    model_budget(Head())


# expect failed: never called model_budget
@pytest.mark.budget(params="1M")
def test_a_marked_test_that_never_calls_the_fixture_fails(model_budget):
    Net()(X)


# expect failed: macs is limited
def test_a_limit_that_needs_inputs_needs_inputs(model_budget):
    model_budget(Net(), macs="22K")


# expect passed: modelbudget.Net.params = 22210
# and: no modelbudget.Net.macs
def test_params_need_no_inputs(model_budget):
    assert model_budget(Net(), params="22.21K").macs is None


# expect failed: training_macs
def test_a_training_limit_runs_the_backward(model_budget):
    assert model_budget(Net(), X).training_macs is None
    model_budget(Net(), X, training_macs="22K")


# expect failed: training_flops
@pytest.mark.budget(training_flops="22K")
def test_a_training_limit_of_a_mark_runs_the_backward(model_budget):
    model_budget(Net(), X)


# expect failed: Net: training_flops 132.0 K > 44 K
@pytest.mark.budget(name="Net", training_flops="44K")
def test_the_name_of_a_mark_may_be_the_class(model_budget):
    model_budget(Net(), X.clone().requires_grad_())


class Trained(Net):
    pass


# expect failed: training_macs
def test_a_training_limit_of_the_table_runs_the_backward(model_budget):
    model_budget(Trained(), X)


# expect passed: modelbudget.Trained.macs = 22000
# and: no modelbudget.Trained.training_macs
def test_a_lifted_training_limit_runs_none(model_budget):
    assert model_budget(Trained(), X, training_macs=None).training_macs is None


# expect failed: Head: params 22 > 21
@pytest.mark.budget(params=21)
def test_the_fixture_can_be_asked_for_while_the_test_runs(request):
    request.getfixturevalue("model_budget")(Head())


@pytest.fixture
def measured_at_the_end(model_budget):
    yield
    model_budget(Net(), X)


@pytest.fixture
def asked_for_at_the_end(request):
    budget = request.getfixturevalue("model_budget")
    yield
    budget(Net(), X)


@pytest.fixture
def never_measured(model_budget):
    yield
    assert model_budget


# expect passed: modelbudget.Net.macs.limit = 22000
@pytest.mark.budget(macs="22K")
def test_what_a_fixture_measures_at_its_end_is_judged(measured_at_the_end):
    pass


# expect passed: modelbudget.Net.macs.limit = 22000
@pytest.mark.budget(macs="22K")
def test_what_a_fixture_asks_for_and_measures_at_its_end_is_judged(asked_for_at_the_end):
    pass


# expect error: Net: macs 22.00 K > 21.9 K (+0.46%)
@pytest.mark.budget(macs="21.9K")
def test_an_excess_of_what_a_fixture_measures_at_its_end_is_an_error(measured_at_the_end):
    pass


# expect error: never called model_budget
@pytest.mark.budget(macs="22K")
def test_a_fixture_that_has_never_measured_when_it_ends_is_an_error(never_measured):
    pass


# expect failed: AssertionError
# and: not never called model_budget
@pytest.mark.budget(macs="22K")
def test_one_that_fails_before_is_told_nothing_else(never_measured):
    assert Net is None
