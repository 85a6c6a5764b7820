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


# expect error: a mark that is added when the call of the test has begun
@pytest.mark.budget(params="1M")
def test_a_mark_added_in_the_body_is_an_error(request):
    request.node.add_marker(pytest.mark.budget(macs="1K"), append=False)
    Net()(X)


# expect error: a mark that is added when the call of the test has begun
def test_a_mark_added_after_everything_has_run_is_an_error(request):
    Net()(X)
    request.node.add_marker(pytest.mark.budget(macs="1M"))


# expect error: a mark that is added when the call of the test has begun
@pytest.mark.budget(params="1M")
def test_a_malformed_mark_added_in_the_body_is_an_error(request):
    request.node.add_marker(pytest.mark.budget(macs="lots"))
    Net()(X)


# expect failed: Net: training_macs
@pytest.mark.budget(training_macs="22K")
def test_a_training_limit_and_a_fixture_asked_for_in_the_body(request):
    request.getfixturevalue("model_budget")(Net(), X)


# expect failed: training_macs is limited
@pytest.mark.budget(training_macs="22K")
def test_a_training_limit_and_a_fixture_that_nobody_asks_for(request):
    Net()(X)


# expect failed: Net: macs 22.00 K > 1 K
@pytest.mark.budget(macs="1K")
def test_a_mark_that_the_body_removes_holds(request):
    request.node.own_markers.clear()
    Net()(X)


# expect failed: Net: macs 22.00 K > 1 K
@pytest.mark.budget(macs="1K")
def test_a_mark_that_the_body_removes_holds_under_the_fixture(request, model_budget):
    request.node.own_markers.clear()
    model_budget(Net(), X)


@pytest.mark.budget(macs="1M")
class TestClassWide:
    # expect failed: Net: macs 22.00 K > 1 K
    @pytest.mark.budget(macs="1K")
    def test_a_removed_mark_is_still_closer_than_that_of_the_class(self, request):
        request.node.own_markers.clear()
        Net()(X)

    # expect failed: Net: macs 22.00 K > 1 K
    @pytest.mark.budget(macs="1K")
    def test_all_marks_removed(self, request):
        request.node.own_markers.clear()
        request.node.parent.own_markers.clear()
        Net()(X)


# expect failed: no model was measured
@pytest.mark.budget(macs="1K")
def test_a_removed_mark_that_measured_nothing(request):
    request.node.own_markers.clear()


# expect failed: no limit applies to Net
@pytest.mark.budget(macs=None)
def test_a_mark_that_only_lifts_limits_is_no_budget():
    Net()(X)
