"""An observing mark: every model that the test calls is counted as it runs."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from .models import Head, Net, X


# expect passed: modelbudget.Net.params = 22210
# and: modelbudget.Net.macs = 22000
# and: modelbudget.Net.flops = 44000
# and: modelbudget.Net.weight_bytes = 88840
@pytest.mark.budget(params="22.21K", macs="22K", flops="44K", weight_bytes="88.84 KB")
def test_an_observing_mark_guards_an_existing_test():
    Net()(X)


# expect failed: Net: macs 22.00 K > 21.9 K (+0.46%)
@pytest.mark.budget(macs="21.9K")
def test_an_excess_under_an_observing_mark_fails():
    Net()(X)


# expect failed: macs 66.00 K > 44 K
@pytest.mark.budget(macs="44K")
def test_the_costliest_call_of_a_model_is_judged():
    model = Net()
    for rows in (1, 3, 2):
        model(torch.zeros(rows, 100))


# expect passed: modelbudget.Net.macs.limit = 22000
# and: modelbudget.Net.macs = 22000
@pytest.mark.budget(params=22210, macs=22000)
def test_limits_are_inclusive():
    Net()(X)


# expect failed: params 22,210 > 22,209 (+0.005%)
@pytest.mark.budget(params=22209)
def test_one_above_the_limit_is_over():
    Net()(X)


# expect failed: budget declared, but no model was measured
@pytest.mark.budget(macs="1G")
def test_a_mark_that_measures_nothing_fails():
    pass


# expect failed: no model was measured
@pytest.mark.budget(macs="1G")
def test_losses_and_activations_are_not_models():
    nn.MSELoss()(nn.ReLU()(X), X)


# expect passed: modelbudget.Net.macs = 66000
@pytest.mark.budget(macs="66K")
def test_exporting_with_a_dynamic_size_works_under_a_mark():
    sizes = {"x": {0: torch.export.Dim("rows")}}
    program = torch.export.export(Net(), (torch.zeros(2, 100),), dynamic_shapes=sizes)
    program.module()(torch.zeros(3, 100))


# expect failed: no model was measured: its modules ran under FakeTensorMode, where nothing is computed
@pytest.mark.budget(macs="1G")
def test_a_model_that_is_only_exported_is_not_measured():
    torch.export.export(Net(), (X,))


class FromTable(Net):
    pass


# expect passed: modelbudget.FromTable.params.limit = 30000
@pytest.mark.budget
def test_a_bare_mark_takes_its_limits_from_the_table():
    FromTable()(X)


# expect failed: no limit applies to Net
@pytest.mark.budget
def test_a_bare_mark_without_any_limit_fails():
    Net()(X)


# expect failed: backbone_v2: macs
@pytest.mark.budget(name="backbone_v2", macs=1)
def test_a_name_for_what_is_observed():
    Net()(X)


# expect failed: would name 2 models (Head, Net)
@pytest.mark.budget(name="mine", macs="1M")
def test_one_name_cannot_name_two_models():
    Head()(Net()(X))


# expect failed: Head: macs 20 > 19
@pytest.mark.budget(model="Net", macs="22K")
@pytest.mark.budget(model="He*", macs=19)
def test_model_selects_one_of_several():
    Head()(Net()(X))


# expect failed: no measured model is called "backbone"
@pytest.mark.budget(model="backbone", macs="1G")
def test_model_that_matches_nothing_fails():
    Net()(X)


# expect failed: Net: macs 22.00 K > 1 K (+2,100.0%); Head: params 22 > 1
@pytest.mark.budget(model="Net", macs="1K")
@pytest.mark.budget(model="Head", params=1)
def test_every_model_over_budget_is_named():
    Head()(Net()(X))


# expect failed: training_macs is limited
@pytest.mark.budget(training_macs="1G")
def test_training_limits_need_the_fixture():
    Net()(X)


class Trained(Net):
    pass


# expect failed: training_macs is limited
@pytest.mark.budget
def test_a_training_limit_of_the_table_cannot_be_observed():
    Trained()(X)


# expect failed: AssertionError: mine
@pytest.mark.budget(macs=1)
def test_the_own_failure_of_a_test_comes_first():
    Net()(X)
    raise AssertionError("mine")


# expect skipped: no GPU here
# and: no properties
@pytest.mark.budget(macs=1)
def test_a_test_that_skips_itself_owes_nothing():
    pytest.skip("no GPU here")


# expect failed: Net: macs
@pytest.mark.budget(macs=1)
def test_an_excess_before_a_skip_still_fails():
    Net()(X)
    pytest.skip("done")


# expect skipped: unconditional skip
# and: no properties
@pytest.mark.skip
@pytest.mark.budget(macs="many")
def test_a_skip_mark_skips_malformed_marks_too():
    pass


# expect failed: mat1 and mat2 shapes cannot be multiplied
@pytest.mark.budget(macs="1G")
def test_the_error_of_forward_is_the_tests_own():
    Net()(torch.zeros(1, 99))


class Settings(Net):
    """Finds attributes that it does not have in a dict, and says so in its own way."""

    settings = {"width": 200}

    def __getattr__(self, name):
        return super().__getattr__(name) if name in ("first", "last") else self.settings[name]


# expect passed: modelbudget.Settings.macs = 22000
# and: modelbudget.Settings.macs.limit = 22000
@pytest.mark.budget(macs="22K")
def test_a_model_with_attributes_of_its_own_kind():
    Settings()(X)


class MakesWeights(Net):
    def forward(self, x):
        if not hasattr(self, "late"):
            self.late = nn.Parameter(torch.zeros(1000))
        return super().forward(x)


# expect failed: MakesWeights: params 23.21 K > 23.2 K
@pytest.mark.budget(params="23.2K")
def test_a_parameter_that_forward_makes_is_counted():
    MakesWeights()(X)


class Unfreezes(Net):
    def forward(self, x):
        self.requires_grad_(True)
        return super().forward(x)


# expect failed: Unfreezes: trainable_params 22,210 > 0
@pytest.mark.budget(trainable_params=0)
def test_parameters_that_forward_makes_trainable_are_counted():
    Unfreezes().requires_grad_(False)(X)


class Caches(Net):
    def forward(self, x):
        self.register_buffer("cache", torch.zeros(10**6))
        return super().forward(x)


# expect failed: Caches: weight_bytes 4.089 MB > 500 KB
@pytest.mark.budget(weight_bytes="500 KB")
def test_a_buffer_that_forward_makes_is_counted():
    Caches()(X)


# expect failed: Net: weight_bytes 88.84 KB > 88 KB
@pytest.mark.budget(weight_bytes="88 KB")
def test_weights_that_forward_makes_smaller_are_counted_as_they_were():
    net = Net()
    net.register_forward_hook(lambda model, args, out: model.half())
    net(X)


class InThread(Net):
    def forward(self, x):
        out = []
        thread = threading.Thread(target=lambda: out.append(self.last(x @ self.first.weight.T)))
        thread.start()
        thread.join()
        return out[0]


# expect failed: InThread: macs 22.00 K > 21 K
@pytest.mark.budget(macs="21K")
def test_what_a_thread_runs_in_forward_is_counted():
    InThread()(X)


# expect failed: InThread: macs 22.00 K > 21 K
@pytest.mark.budget(macs="21K")
def test_what_a_thread_runs_in_a_method_is_counted():
    InThread().forward(X)


class InPool(Net):
    def forward(self, x):
        with ThreadPoolExecutor() as pool:
            return self.last(pool.submit(torch.mm, x, self.first.weight.T).result())


# expect failed: InPool: macs 22.00 K > 21 K
@pytest.mark.budget(macs="21K")
def test_what_a_pool_of_threads_runs_in_forward_is_counted():
    InPool()(X)


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(200, 100))

    def forward(self, x):
        return x @ self.weight.T


# expect failed: Bare was called in the thread
@pytest.mark.budget(macs="100")
def test_forward_in_a_pool_is_said():
    Head()(X[:, :10])
    with ThreadPoolExecutor(1) as pool:
        pool.submit(Bare().forward, X).result()


# expect failed: Bare was called in the thread
@pytest.mark.budget(macs="100")
def test_forward_in_a_thread_is_said():
    Head()(X[:, :10])
    thread = threading.Thread(target=Bare().forward, args=(X,))
    thread.start()
    thread.join()


# expect passed: modelbudget.Head.macs = 20
@pytest.mark.budget(macs="100")
def test_what_a_thread_runs_outside_of_models_is_no_model():
    Head()(X[:, :10])
    thread = threading.Thread(target=torch.mm, args=(X, X.T))
    thread.start()
    thread.join()


class Lazy(Net):
    def forward(self, x):
        return map(super().forward, x)


# expect failed: Lazy: lower bound
# and: python::map is no operator
@pytest.mark.budget(macs="100K")
def test_a_result_that_has_yet_to_run_is_a_lower_bound():
    Lazy()(X)


class RowByRow(Net):
    def forward(self, x):
        for row in x:
            yield super().forward(row)


# expect failed: RowByRow: macs 22.00 K > 21 K
@pytest.mark.budget(macs="21K")
def test_a_forward_that_is_a_generator_is_counted_as_it_runs():
    assert len(list(RowByRow()(X))) == 1


library = torch.library.Library("observing", "DEF")
library.define("odd(Tensor x) -> Tensor")
library.impl("odd", lambda x: x * 2, "CompositeExplicitAutograd")


class Odd(Net):
    def forward(self, x, odd=False):
        return torch.ops.observing.odd(x) if odd else super().forward(x)

    def training_step(self, x):
        return self(x), self(x, odd=True)


# expect failed: Odd: lower bound
@pytest.mark.budget(macs="1M")
def test_an_unknown_operator_in_a_cheaper_call_of_a_method_is_said():
    Odd().training_step(X)


# expect passed: modelbudget.backbone[4x100].params = 22210
@pytest.mark.budget(name="backbone", macs="1M")
def test_a_name_for_one_model_whose_calls_differ():
    net = Net()
    net(X)
    net.requires_grad_(False)
    net(X.expand(4, 100))


# expect xfailed: modelbudget.Net.macs = 22000
@pytest.mark.xfail(raises=SystemExit)
@pytest.mark.budget(macs="22K")
def test_an_exit_that_xfail_expects():
    Net()(X)
    sys.exit(3)


# expect failed: SystemExit: 3
# and: modelbudget.Net.macs = 22000
@pytest.mark.budget(macs="1K")
def test_an_exit_after_an_excess():
    Net()(X)
    sys.exit(3)


# expect failed: no model was measured
@pytest.mark.xfail(raises=SystemExit)
@pytest.mark.budget(macs="22K")
def test_an_exit_before_anything_was_measured():
    sys.exit(3)


# expect failed: Net: macs 22.00 K > 1 K
@pytest.mark.xfail(raises=SystemExit)
@pytest.mark.budget(macs="1K")
def test_an_exit_does_not_excuse_an_excess():
    Net()(X)
    sys.exit(3)


# expect passed: modelbudget.Net.macs = 22000
@pytest.mark.budget(macs="22K")
def test_an_exit_that_the_test_catches():
    with pytest.raises(SystemExit):
        raise SystemExit(Net()(X).shape[0])
