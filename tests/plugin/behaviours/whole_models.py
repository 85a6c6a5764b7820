"""The model is the whole: a test that runs parts of a model through one of its methods is about the model.

Task holds Net (22 210 params, 22 000 MACs a row) and Head (22 params, 20 MACs a row).
"""

from __future__ import annotations

import pytest

from .models import Net, Task, X


# expect failed: Task: params 22.23 K > 22.22 K
# and: modelbudget.Task.macs = 22020
@pytest.mark.budget(params="22.22K")
def test_a_training_step_is_about_the_whole_model():
    Task().training_step(X)


# expect failed: Task: params 22.23 K > 22.22 K
@pytest.mark.budget(params="22.22K")
def test_a_direct_call_of_forward_is_about_the_whole_model():
    Task().forward(X)


# expect failed: Task: params 22.23 K > 22.22 K
# and: modelbudget.Task.macs = 22000
@pytest.mark.budget(params="22.22K")
def test_one_part_through_a_method_is_about_the_whole_model():
    Task().encode(X)


# expect failed: Task: macs 22.02 K > 22.01 K
@pytest.mark.budget(macs="22.01K")
def test_what_the_parts_cost_is_summed():
    Task().training_step(X)


# expect failed: Net: macs 22.00 K > 21 K
@pytest.mark.budget(model="Net", macs="21K")
def test_a_part_that_the_test_calls_by_itself_is_its_own_model():
    Task().net(X)


# expect failed: no model was measured
# and: 100 MACs ran outside of modules
@pytest.mark.budget(macs="1G")
def test_macs_outside_of_modules_are_said():
    X @ X.T


# expect failed: Net: macs 22.00 K > 1 K
# and: and 100 MACs ran outside of modules
@pytest.mark.budget(macs="1K")
def test_macs_outside_of_modules_are_said_with_an_excess():
    Net()(X)
    X @ X.T


# expect failed: no model was measured
@pytest.mark.budget(macs="1G")
def test_a_call_that_raised_is_no_measurement():
    with pytest.raises(RuntimeError):
        Net()(X[:, :1])
