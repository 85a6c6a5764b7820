from __future__ import annotations

import pytest
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from .models import Net


class Attention(nn.Module):
    def forward(self, x):
        return scaled_dot_product_attention(x, x, x)


# expect passed: modelbudget.net[1x100].macs = 22000
# and: modelbudget.net[2x100].macs = 44000
def test_a_linear_model_keeps_linear_growth(model_budget):
    found = model_budget.scaling(Net, "{1,2}x100", name="net", macs="linear", params="constant")
    assert [one.macs for one in found] == [22_000, 44_000]


# expect failed: attention: too steep: MACs grow as n^2.00, linear allowed
# and: at 16:  2048
# and: at 32:  8192
def test_attention_became_quadratic(model_budget):
    model_budget.scaling(Attention, "1x{16,32}x4", name="attention", macs="linear")


# expect xfailed: modelbudget.attention[1x16x4].macs = 2048
@pytest.mark.xfail
def test_xfail_excuses_steep_growth(model_budget):
    model_budget.scaling(Attention, "1x{16,32}x4", name="attention", macs="linear")


# expect failed: swallowed a BudgetExceeded
def test_steep_growth_cannot_be_swallowed(model_budget):
    try:
        model_budget.scaling(Attention, "1x{16,32}x4", name="attention", macs="linear")
    except AssertionError:
        pass


# expect failed: macs 44.00 K > 30 K
@pytest.mark.budget(macs="30K")
def test_the_limits_hold_at_each_size(model_budget):
    model_budget.scaling(Net, "{1,2}x100", name="net", macs="linear")


# expect failed: net (2x100): macs 44.00 K > 20 K (+120.0%), 1 more
# and: 1x100 MACs  22.00 K  20 K (+10.0%)
# and: 2x100 MACs  44.00 K  20 K (+120.0%)
# and: heaviest at 2x100 by MACs:
# and: not heaviest at 1x100
@pytest.mark.budget(macs="20K", params=22_210)
def test_a_range_of_sizes_is_one_failure(model_budget):
    model_budget.scaling(Net, "{1,2}x100", name="net", macs="linear")


# expect failed: net (2x100): params 22.21 K > 20 K (+11.1%), 1 more
# and: params      22.21 K  20 K (+11.1%)
# and: 2x100 MACs  44.00 K  40 K (+10.0%)
@pytest.mark.budget(macs="40K", params="20K")
def test_what_is_the_same_at_every_size_is_said_once(model_budget):
    model_budget.scaling(Net, "{1,2}x100", name="net", macs="linear")


# expect failed: give a range of sizes
@pytest.mark.xfail
def test_xfail_does_not_excuse_a_range_that_is_none(model_budget):
    model_budget.scaling(Net, "1x100", name="net", macs="linear")


# expect passed: modelbudget.net[1x100].training_macs = 46000
# and: modelbudget.net[2x100].training_macs = 92000
def test_growth_of_training(model_budget):
    # A row: 22 000 forward, as much for the gradients of the weights, and 2 000 for that of the input of the last.
    model_budget.scaling(Net, "{1,2}x100", name="net", training_macs="linear")
