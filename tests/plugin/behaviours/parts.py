from __future__ import annotations

import pytest
import torch
from torch import nn

from .models import Backbone, Net, X


# expect failed: Net: first macs 20.00 K > 19 K (+5.3%)
# and: modelbudget.Net[first].macs = 20000
# and: modelbudget.Net[first].macs.limit = 19000
# and: modelbudget.Net.macs = 22000
@pytest.mark.budget(module="first", macs="19K")
def test_a_part_over_its_limit():
    Net()(X)


# expect passed: modelbudget.Net[last].macs = 2000
# and: modelbudget.Net[first].macs.limit = 20000
@pytest.mark.budget(module="*", macs="20K")
def test_every_part_that_a_pattern_matches():
    Net()(X)


# expect failed: no module of Net matches "frist"
# and: the nearest names are first
@pytest.mark.budget(module="frist", macs="20K")
def test_a_part_that_is_not_there():
    Net()(X)


# expect failed: no module of Net matches "frist"
@pytest.mark.xfail
@pytest.mark.budget(module="frist", macs="20K")
def test_xfail_does_not_excuse_a_part_that_is_not_there():
    Net()(X)


# expect xfailed: modelbudget.Net[first].macs = 20000
@pytest.mark.xfail
@pytest.mark.budget(module="first", macs="19K")
def test_xfail_excuses_an_excess_of_a_part():
    Net()(X)


# expect failed: net: first macs 20.00 K > 19 K
# and: modelbudget.net[first].macs = 20000
@pytest.mark.budget(module="first", macs="19K")
def test_a_part_of_what_the_fixture_measures(model_budget):
    model_budget(Net, X, name="net")


# expect failed: no measured model is called "first"
# and: module="first" limits it
@pytest.mark.budget(model="first", macs="20K")
def test_a_module_given_as_model():
    Net()(X)


# expect failed: Backbone: last params 2010 > 2 K
# and: no modelbudget.Net[last].params
@pytest.mark.budget(model="Backbone", module="last", params="2K")
def test_a_part_of_one_of_two_models():
    Backbone()(X)
    Net()(X)


# expect failed: net: first training_macs is limited
@pytest.mark.budget(module="first", training_macs="1G")
def test_a_part_that_was_not_measured_so(model_budget):
    model_budget(Net, name="net")


class Attention(nn.Module):
    """Net, and a product without a weight: the scores of each row of X with each other."""

    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, x):
        y = self.net(x)
        return y @ y.T


# expect failed: Attention: net.first macs 20.00 K > 19 K
@pytest.mark.budget(module="net.first", macs="19K")
def test_a_part_of_an_exported_model():
    torch.export.export(Attention(), (X,)).module()(X)


# expect failed: Attention: net macs is limited
# and: a scripted graph does not tell which part runs aten::mm: limit the whole
# and: modelbudget.Attention.macs = 22010
@pytest.mark.budget(module="net", macs="44K", params="23K")
def test_a_part_of_a_scripted_model_that_may_run_more():
    torch.jit.script(Attention())(X)


# expect passed: modelbudget.Net[first].macs = 20000
@pytest.mark.budget(module="first", macs="20K")
def test_a_part_of_a_scripted_model_that_runs_weights_alone():
    torch.jit.script(Net())(X)
