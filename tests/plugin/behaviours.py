"""What a test under a budget does, case by case: its outcome, a text of its report, and the test itself.

Every case is a module of its own. They are run together, plain, with ``-n0`` and with ``-n2``.
"""

from __future__ import annotations

from typing import NamedTuple


class Behaviour(NamedTuple):
    outcome: str
    says: str
    source: str


TABLE = """
[tool.modelbudget.models.FromTable]
params = "30K"

[tool.modelbudget.models.TooSmallInTable]
params = { max = "22K", warn = "20K" }
message = "Ask the serving team first."

[tool.modelbudget.models."Glob*"]
macs = "1K"

[tool.modelbudget.models.GlobExact]
macs = "1M"

[tool.modelbudget.models.Trained]
training_macs = "1K"
"""

BEHAVIOURS = {
    # ---------------------------------------------------------------- observing
    "an_observing_mark_guards_an_existing_test": Behaviour(
        "passed",
        "",
        """
        @pytest.mark.budget(params="22.21K", macs="22K", flops="44K", weight_bytes="88.84 KB")
        def test(): Net()(X)
        """,
    ),
    "an_excess_under_an_observing_mark_fails": Behaviour(
        "failed",
        "Net: macs 22.00 K > 21.9 K (+0.5%)",
        """
        @pytest.mark.budget(macs="21.9K")
        def test(): Net()(X)
        """,
    ),
    "the_costliest_call_of_a_model_is_judged": Behaviour(
        "failed",
        "macs 66.00 K > 44 K",
        """
        @pytest.mark.budget(macs="44K")
        def test():
            model = Net()
            for rows in (1, 3, 2): model(torch.zeros(rows, 100))
        """,
    ),
    "limits_are_inclusive": Behaviour(
        "passed",
        "",
        """
        @pytest.mark.budget(params=22210, macs=22000)
        def test(): Net()(X)
        """,
    ),
    "one_above_the_limit_is_over": Behaviour(
        "failed",
        "params 22,210 > 22,209 (<0.1%)",
        """
        @pytest.mark.budget(params=22209)
        def test(): Net()(X)
        """,
    ),
    "a_mark_that_measures_nothing_fails": Behaviour(
        "failed",
        "budget declared, but no model was measured",
        """
        @pytest.mark.budget(macs="1G")
        def test(): pass
        """,
    ),
    "losses_and_activations_are_not_models": Behaviour(
        "failed",
        "no model was measured",
        """
        @pytest.mark.budget(macs="1G")
        def test(): nn.MSELoss()(nn.ReLU()(X), X)
        """,
    ),
    "a_bare_mark_takes_its_limits_from_the_table": Behaviour(
        "passed",
        "",
        """
        class FromTable(Net): pass
        @pytest.mark.budget
        def test(): FromTable()(X)
        """,
    ),
    "a_bare_mark_without_any_limit_fails": Behaviour(
        "failed",
        "no limit applies to Net",
        """
        @pytest.mark.budget
        def test(): Net()(X)
        """,
    ),
    "a_name_for_what_is_observed": Behaviour(
        "failed",
        "backbone_v2: macs",
        """
        @pytest.mark.budget(name="backbone_v2", macs=1)
        def test(): Net()(X)
        """,
    ),
    "one_name_cannot_name_two_models": Behaviour(
        "failed",
        "would name 2 models (Head, Net)",
        """
        @pytest.mark.budget(name="mine", macs="1M")
        def test(): Head()(Net()(X))
        """,
    ),
    "model_selects_one_of_several": Behaviour(
        "failed",
        "Head: macs 20 > 19",
        """
        @pytest.mark.budget(model="Net", macs="22K")
        @pytest.mark.budget(model="He*", macs=19)
        def test(): Head()(Net()(X))
        """,
    ),
    "model_that_matches_nothing_fails": Behaviour(
        "failed",
        'no measured model is called "backbone"',
        """
        @pytest.mark.budget(model="backbone", macs="1G")
        def test(): Net()(X)
        """,
    ),
    "every_model_over_budget_is_named": Behaviour(
        "failed",
        "Net: macs 22.00 K > 1 K (+2,100.0%); Head: params 22 > 1",
        """
        @pytest.mark.budget(model="Net", macs="1K")
        @pytest.mark.budget(model="Head", params=1)
        def test(): Head()(Net()(X))
        """,
    ),
    "training_limits_need_the_fixture": Behaviour(
        "error",
        "limits on training need the model_budget fixture",
        """
        @pytest.mark.budget(training_macs="1G")
        def test(): Net()(X)
        """,
    ),
    "a_training_limit_of_the_table_cannot_be_observed": Behaviour(
        "failed",
        "training_macs is limited",
        """
        class Trained(Net): pass
        @pytest.mark.budget
        def test(): Trained()(X)
        """,
    ),
    "the_own_failure_of_a_test_comes_first": Behaviour(
        "failed",
        "AssertionError: mine",
        """
        @pytest.mark.budget(macs=1)
        def test():
            Net()(X)
            raise AssertionError("mine")
        """,
    ),
    "a_test_that_skips_itself_owes_nothing": Behaviour(
        "skipped",
        "",
        """
        @pytest.mark.budget(macs=1)
        def test(): pytest.skip("no GPU here")
        """,
    ),
    "an_excess_before_a_skip_still_fails": Behaviour(
        "failed",
        "Net: macs",
        """
        @pytest.mark.budget(macs=1)
        def test():
            Net()(X)
            pytest.skip("done")
        """,
    ),
    "a_skip_mark_skips_malformed_marks_too": Behaviour(
        "skipped",
        "",
        """
        @pytest.mark.skip
        @pytest.mark.budget(macs="many")
        def test(): pass
        """,
    ),
    "the_error_of_forward_is_the_tests_own": Behaviour(
        "failed",
        "mat1 and mat2 shapes cannot be multiplied",
        """
        @pytest.mark.budget(macs="1G")
        def test(): Net()(torch.zeros(1, 99))
        """,
    ),
    # ---------------------------------------------------------------- merging
    "class_and_module_marks_merge": Behaviour(
        "failed",
        "params 22,210 > 22,209 (<0.1%), flops 44.00 K > 43 K",
        """
        pytestmark = [pytest.mark.budget(params=22209)]
        @pytest.mark.budget(flops="43K")
        class TestNet:
            @pytest.mark.budget(macs="22K")
            def test(self): Net()(X)
        """,
    ),
    "the_closest_mark_wins": Behaviour(
        "passed",
        "",
        """
        pytestmark = pytest.mark.budget(macs=1)
        @pytest.mark.budget(macs=2)
        class TestNet:
            @pytest.mark.budget(macs="22K")
            def test(self): Net()(X)
        """,
    ),
    "none_lifts_an_inherited_limit": Behaviour(
        "passed",
        "",
        """
        pytestmark = pytest.mark.budget(macs=1, params="23K")
        @pytest.mark.budget(macs=None)
        def test(): Net()(X)
        """,
    ),
    "a_mark_replaces_the_max_of_the_table": Behaviour(
        "passed",
        "",
        """
        class TooSmallInTable(Net): pass
        @pytest.mark.budget(params="1M")
        def test(): TooSmallInTable()(X)
        """,
    ),
    "the_message_of_the_table_is_shown": Behaviour(
        "failed",
        "note: Ask the serving team first.",
        """
        class TooSmallInTable(Net): pass
        @pytest.mark.budget
        def test(): TooSmallInTable()(X)
        """,
    ),
    "the_exact_name_wins_over_a_glob": Behaviour(
        "passed",
        "",
        """
        class GlobExact(Net): pass
        @pytest.mark.budget
        def test(): GlobExact()(X)
        """,
    ),
    "a_glob_of_the_table_applies": Behaviour(
        "failed",
        "GlobOther: macs 22.00 K > 1 K",
        """
        class GlobOther(Net): pass
        @pytest.mark.budget
        def test(): GlobOther()(X)
        """,
    ),
    "a_parameter_may_carry_the_mark": Behaviour(
        "failed",
        "macs 44.00 K > 22 K",
        """
        @pytest.mark.parametrize("rows", [pytest.param(2, marks=pytest.mark.budget(macs="22K"))])
        def test(rows): Net()(torch.zeros(rows, 100))
        """,
    ),
    "the_mark_of_a_parameter_is_the_closest": Behaviour(
        "failed",
        "macs 44.00 K > 30 K",
        """
        @pytest.mark.budget(macs="1M")
        @pytest.mark.parametrize("rows", [pytest.param(2, marks=pytest.mark.budget(macs="30K"))])
        def test(rows): Net()(torch.zeros(rows, 100))
        """,
    ),
    "a_fixture_may_add_the_mark": Behaviour(
        "failed",
        "macs 22.00 K > 1 K",
        """
        @pytest.fixture(autouse=True)
        def limited(request): request.node.add_marker(pytest.mark.budget(macs="1K"))
        def test(): Net()(X)
        """,
    ),
    "a_fixture_may_add_another_mark": Behaviour(
        "failed",
        "params 22,210 > 22,209",
        """
        @pytest.fixture(autouse=True)
        def limited(request): request.node.add_marker(pytest.mark.budget(params=22209))
        @pytest.mark.budget(macs="1M")
        def test(): Net()(X)
        """,
    ),
    "a_mark_of_a_base_class_applies": Behaviour(
        "failed",
        "macs 22.00 K > 1 K",
        """
        @pytest.mark.budget(macs="1K")
        class Base: pass
        class TestNet(Base):
            def test(self): Net()(X)
        """,
    ),
    # ---------------------------------------------------------------- the mark itself
    "a_malformed_limit_is_an_error_in_setup": Behaviour(
        "error",
        "macs = '4.1g' at",
        """
        @pytest.mark.budget(macs="4.1g")
        def test(): Net()(X)
        """,
    ),
    "a_near_miss_is_an_error": Behaviour(
        "error",
        "flop= at",
        """
        @pytest.mark.budget(flop="4.1G")
        def test(): Net()(X)
        """,
    ),
    "a_positional_limit_is_an_error": Behaviour(
        "error",
        "a limit of what?",
        """
        @pytest.mark.budget("4.1G")
        def test(): Net()(X)
        """,
    ),
    "the_mark_of_another_plugin_is_left_alone": Behaviour(
        "passed",
        "",
        """
        @pytest.mark.budget(180)
        @pytest.mark.budget(max_usd=3)
        def test(): pass
        """,
    ),
    "the_alias_is_always_ours": Behaviour(
        "error",
        "max_usd= at",
        """
        @pytest.mark.modelbudget(max_usd=3)
        def test(): Net()(X)
        """,
    ),
    "the_alias_observes_too": Behaviour(
        "failed",
        "Net: macs",
        """
        @pytest.mark.modelbudget(macs=1)
        def test(): Net()(X)
        """,
    ),
    # ---------------------------------------------------------------- xfail
    "xfail_excuses_an_observed_excess": Behaviour(
        "xfailed",
        "",
        """
        @pytest.mark.xfail
        @pytest.mark.budget(macs=1)
        def test(): Net()(X)
        """,
    ),
    "xfail_excuses_an_excess_of_the_fixture": Behaviour(
        "xfailed",
        "",
        """
        from pytest_modelbudget import BudgetExceeded
        @pytest.mark.xfail(raises=BudgetExceeded, strict=True)
        def test(model_budget): model_budget(Net(), X, macs=1)
        """,
    ),
    "xfail_of_another_error_does_not_excuse_an_excess": Behaviour(
        "failed",
        "Net: macs",
        """
        @pytest.mark.xfail(raises=ValueError)
        @pytest.mark.budget(macs=1)
        def test():
            Net()(X)
            raise ValueError("expected")
        """,
    ),
    "xfail_excuses_no_malformed_mark": Behaviour(
        "error",
        "macs = 'many' at",
        """
        @pytest.mark.xfail
        @pytest.mark.budget(macs="many")
        def test(): Net()(X)
        """,
    ),
    "xfail_excuses_no_mark_that_measured_nothing": Behaviour(
        "failed",
        "no model was measured",
        """
        @pytest.mark.xfail
        @pytest.mark.budget(macs="1G")
        def test(): pass
        """,
    ),
    "xfail_excuses_no_error_before_anything_was_measured": Behaviour(
        "failed",
        "no model was measured",
        """
        @pytest.mark.xfail
        @pytest.mark.budget(macs="1G")
        def test(): raise RuntimeError("early")
        """,
    ),
    "xfail_excuses_no_swallowed_excess": Behaviour(
        "failed",
        "swallowed a BudgetExceeded",
        """
        @pytest.mark.xfail
        def test(model_budget):
            try: model_budget(Net(), X, macs=1)
            except AssertionError: pass
            raise RuntimeError("something else")
        """,
    ),
    "xfail_that_is_not_to_run_owes_nothing": Behaviour(
        "xfailed",
        "",
        """
        @pytest.mark.xfail(run=False)
        @pytest.mark.budget(macs=1)
        def test(): Net()(X)
        """,
    ),
    "xfail_still_excuses_what_is_the_tests_own": Behaviour(
        "xfailed",
        "",
        """
        @pytest.mark.xfail
        @pytest.mark.budget(macs="22K")
        def test():
            Net()(X)
            raise RuntimeError("known")
        """,
    ),
    # ---------------------------------------------------------------- the fixture
    "the_fixture_returns_the_measurement": Behaviour(
        "passed",
        "",
        """
        def test(model_budget):
            found = model_budget(Net(), (X,), macs="22K", params=22210)
            assert (found.params, found.macs, found.flops) == (22210, 22000, 44000)
        """,
    ),
    "the_fixture_takes_a_factory": Behaviour(
        "failed",
        "net: macs 22.00 K > 21 K",
        """
        def test(model_budget): model_budget(net, input_size=(1, 100), macs="21K")
        """,
    ),
    "marks_are_limits_for_the_fixture": Behaviour(
        "failed",
        "Net: macs 22.00 K > 21 K",
        """
        @pytest.mark.budget(macs="21K")
        def test(model_budget): model_budget(Net(), X)
        """,
    ),
    "arguments_of_the_call_win": Behaviour(
        "passed",
        "",
        """
        @pytest.mark.budget(macs="21K")
        def test(model_budget): model_budget(Net(), X, macs="22K")
        """,
    ),
    "what_else_runs_beside_the_fixture_is_not_observed": Behaviour(
        "passed",
        "",
        """
        @pytest.mark.budget(params=22)
        def test(model_budget):
            Net()(X)
            model_budget(Head())
        """,
    ),
    "a_marked_test_that_never_calls_the_fixture_fails": Behaviour(
        "failed",
        "never called model_budget",
        """
        @pytest.mark.budget(params="1M")
        def test(model_budget): Net()(X)
        """,
    ),
    "an_unknown_metric_in_the_call_is_an_error": Behaviour(
        "failed",
        "mac= at",
        """
        def test(model_budget): model_budget(Net(), X, mac="22K")
        """,
    ),
    "a_malformed_limit_in_the_call_is_an_error": Behaviour(
        "failed",
        "macs = 4100000000.0 at",
        """
        def test(model_budget): model_budget(Net(), X, macs=4.1e9)
        """,
    ),
    "xfail_excuses_no_malformed_call": Behaviour(
        "failed",
        "macs = True at",
        """
        @pytest.mark.xfail
        def test(model_budget): model_budget(Net(), X, macs=True)
        """,
    ),
    "a_limit_that_needs_inputs_needs_inputs": Behaviour(
        "failed",
        "macs is limited",
        """
        def test(model_budget): model_budget(Net(), macs="22K")
        """,
    ),
    "params_need_no_inputs": Behaviour(
        "passed",
        "",
        """
        def test(model_budget):
            assert model_budget(Net(), params="22.21K").macs is None
        """,
    ),
    "a_training_limit_runs_the_backward": Behaviour(
        "failed",
        "training_macs",
        """
        def test(model_budget):
            assert model_budget(Net(), X).training_macs is None
            model_budget(Net(), X, training_macs="22K")
        """,
    ),
    "a_training_limit_of_a_mark_runs_the_backward": Behaviour(
        "failed",
        "training_flops",
        """
        @pytest.mark.budget(training_flops="22K")
        def test(model_budget): model_budget(Net(), X)
        """,
    ),
    "a_training_limit_of_the_table_runs_the_backward": Behaviour(
        "failed",
        "training_macs",
        """
        class Trained(Net): pass
        def test(model_budget): model_budget(Trained(), X)
        """,
    ),
    "a_lifted_training_limit_runs_none": Behaviour(
        "passed",
        "",
        """
        class Trained(Net): pass
        def test(model_budget):
            assert model_budget(Trained(), X, training_macs=None).training_macs is None
        """,
    ),
    "a_swallowed_excess_fails": Behaviour(
        "failed",
        "swallowed a BudgetExceeded: Net: macs",
        """
        def test(model_budget):
            with pytest.raises(AssertionError): model_budget(Net(), X, macs=1)
        """,
    ),
    "an_excess_as_a_cause_is_not_swallowed": Behaviour(
        "failed",
        "RuntimeError: too big",
        """
        def test(model_budget):
            try: model_budget(Net(), X, macs=1)
            except AssertionError as error: raise RuntimeError("too big") from error
        """,
    ),
    "an_excess_swallowed_before_a_skip_fails": Behaviour(
        "failed",
        "swallowed a BudgetExceeded",
        """
        def test(model_budget):
            try: model_budget(Net(), X, macs=1)
            except AssertionError: pytest.skip("whatever")
        """,
    ),
    "a_model_that_is_none_is_an_error": Behaviour(
        "failed",
        "TypeError",
        """
        def test(model_budget): model_budget(3, X, macs="1G")
        """,
    ),
    "a_factory_that_returns_something_else_is_an_error": Behaviour(
        "failed",
        "TypeError",
        """
        def test(model_budget): model_budget(lambda: "a model", X, macs="1G")
        """,
    ),
    "a_factory_that_raises_is_the_users_error": Behaviour(
        "failed",
        "KeyError: 'checkpoint'",
        """
        def build(): raise KeyError("checkpoint")
        def test(model_budget): model_budget(build, X, macs="1G")
        """,
    ),
    "inputs_that_do_not_fit_are_the_models_error": Behaviour(
        "failed",
        "mat1 and mat2 shapes cannot be multiplied",
        """
        def test(model_budget): model_budget(Net(), torch.zeros(1, 99), macs="1G")
        """,
    ),
    "inputs_in_a_dict_name_kwargs": Behaviour(
        "failed",
        "kwargs=",
        """
        def test(model_budget): model_budget(Net(), {"x": X}, macs="1G")
        """,
    ),
    "the_fixture_works_in_the_setup_of_another": Behaviour(
        "error",
        "Net: macs 22.00 K > 1 K",
        """
        @pytest.fixture
        def model(model_budget): return model_budget(Net(), X, macs="1K")
        def test(model): pass
        """,
    ),
    "measuring_in_setup_is_enough_for_a_mark": Behaviour(
        "passed",
        "",
        """
        @pytest.fixture
        def model(model_budget): return model_budget(Net(), X)
        @pytest.mark.budget(macs="22K")
        def test(model): assert model.macs == 22000
        """,
    ),
    "an_excess_swallowed_in_setup_fails": Behaviour(
        "failed",
        "swallowed a BudgetExceeded",
        """
        @pytest.fixture
        def model(model_budget):
            try: model_budget(Net(), X, macs=1)
            except AssertionError: return None
        def test(model): pass
        """,
    ),
    "an_excess_in_teardown_fails": Behaviour(
        "error",
        "Net: macs 22.00 K > 1 K",
        """
        @pytest.fixture
        def model(model_budget):
            yield
            model_budget(Net(), X, macs="1K")
        def test(model): pass
        """,
    ),
    "an_excess_swallowed_in_teardown_fails": Behaviour(
        "error",
        "swallowed a BudgetExceeded",
        """
        @pytest.fixture
        def model(model_budget):
            yield
            try: model_budget(Net(), X, macs="1K")
            except AssertionError: pass
        def test(model): pass
        """,
    ),
    "the_fixture_can_be_asked_for_while_the_test_runs": Behaviour(
        "failed",
        "Head: params 22 > 21",
        """
        @pytest.mark.budget(params=21)
        def test(request): request.getfixturevalue("model_budget")(Head())
        """,
    ),
    "the_fixture_is_for_one_test": Behaviour(
        "error",
        "ScopeMismatch",
        """
        @pytest.fixture(scope="module")
        def model(model_budget): return model_budget(Net(), X)
        def test(model): pass
        """,
    ),
    "a_model_of_the_module_can_be_measured": Behaviour(
        "passed",
        "",
        """
        @pytest.fixture(scope="module")
        def model(): return Net()
        @pytest.mark.budget(macs="22K")
        def test(model, model_budget): model_budget(model, X)
        """,
    ),
    "a_model_that_needs_values_and_has_none_says_so": Behaviour(
        "failed",
        "item",
        """
        class Choosy(Net):
            def forward(self, x): return super().forward(x) if self.first.weight.sum().item() > 0 else x
        def test(model_budget): model_budget(Choosy().to("meta"), X.to("meta"), macs="1M")
        """,
    ),
    "xfail_excuses_no_measurement_that_failed": Behaviour(
        "failed",
        "item",
        """
        class Choosy(Net):
            def forward(self, x): return super().forward(x) if self.first.weight.sum().item() > 0 else x
        @pytest.mark.xfail
        def test(model_budget): model_budget(Choosy().to("meta"), X.to("meta"), macs="1M")
        """,
    ),
    "the_name_of_a_mark_may_be_the_class": Behaviour(
        "failed",
        "Net: training_flops 132.0 K > 44 K",
        """
        @pytest.mark.budget(name="Net", training_flops="44K")
        def test(model_budget): model_budget(Net(), X.clone().requires_grad_())
        """,
    ),
    # ---------------------------------------------------------------- other kinds of tests
    "a_testcase_is_observed": Behaviour(
        "failed",
        "Net: macs 22.00 K > 1 K",
        """
        import unittest
        class TestNet(unittest.TestCase):
            @pytest.mark.budget(macs="1K")
            def test(self): Net()(X)
        """,
    ),
    "a_testcase_can_use_the_fixture": Behaviour(
        "failed",
        "Net: macs 22.00 K > 1 K",
        """
        import unittest
        class TestNet(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _budget(self, model_budget): self.model_budget = model_budget
            def test(self): self.model_budget(Net(), X, macs="1K")
        """,
    ),
    "a_testcase_that_swallows_fails": Behaviour(
        "failed",
        "swallowed a BudgetExceeded",
        """
        import unittest
        class TestNet(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _budget(self, model_budget): self.model_budget = model_budget
            def test(self):
                with self.assertRaises(AssertionError): self.model_budget(Net(), X, macs="1K")
        """,
    ),
    "a_module_called_in_another_thread_fails": Behaviour(
        "failed",
        "thread",
        """
        from threading import Thread
        @pytest.mark.budget(macs="1G")
        def test():
            model = Net()
            model(X)
            thread = Thread(target=model, args=(X,))
            thread.start()
            thread.join()
        """,
    ),
}
