"""A run in which a test failed or gave up takes nothing from the baseline, and puts nothing into it."""

from __future__ import annotations

import pytest

from .conftest import Run, with_workers
from .test_baseline import LOCK, net

FAILING = {
    "call": "def test_head(model_budget):\n    assert 0",
    "mark": "@pytest.mark.budget(macs='1G')\ndef test_head():\n    assert 0",
    "malformed": "@pytest.mark.budget(flop='1G')\ndef test_head():\n    pass",
    "setup": "@pytest.fixture\ndef broken():\n    assert 0\ndef test_head(broken, model_budget):\n    pass",
    "grown": "def test_head(model_budget):\n    model_budget(Net(220), X, name='head')",
    "after": "def test_head(model_budget):\n    model_budget(Net(), X, name='head')\n    assert 0",
    "first": "def test_head(model_budget):\n    model_budget(Net(), X, name='head', macs=1)\n    model_budget(Net(), X, name='net')",
}


@pytest.mark.parametrize(("mode", "failing"), with_workers(FAILING, "first"))
def test_a_run_in_which_a_test_under_a_budget_failed_prunes_nothing(
    run: Run, pytester: pytest.Pytester, mode: list[str], failing: str
) -> None:
    run("--modelbudget-update", test_net=net(), test_head=net(name="head"))
    before = (pytester.path / LOCK).read_bytes()
    result = run(*mode, "--modelbudget-prune", test_net="", test_head=FAILING[failing])
    assert (pytester.path / LOCK).read_bytes() == before
    why = "test_head.py::test_head failed, and may measure more when passing"
    result.stdout.fnmatch_lines([f"*nothing was removed from the baseline: {why}"])
    result.stdout.fnmatch_lines(["FAILED modelbudget::prune - *nothing was removed*"])


GIVES_UP = {
    "skip": "def test_two(model_budget):\n    model_budget(Net(), X, name='one')\n    pytest.skip('no GPU')",
    "xfail": "def test_two(model_budget):\n    model_budget(Net(), X, name='one')\n    pytest.xfail('no GPU')",
    "expected": "@pytest.mark.xfail\ndef test_two(model_budget):\n    model_budget(Net(), X, name='one')\n    assert 0",
    "unittest": """
        import unittest
        class TestTwo(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def fill(self, model_budget): self.model_budget = model_budget
            def test_two(self):
                self.model_budget(Net(), X, name="one")
                self.skipTest("no GPU")
    """,
    "fixture": """
        @pytest.fixture
        def measured(model_budget):
            model_budget(Net(), X, name="one")
            pytest.skip("no GPU")
        def test_two(measured): pass
    """,
    "subtest": """
        def test_two(model_budget, subtests):
            model_budget(Net(), X, name="one")
            with subtests.test():
                pytest.skip("no GPU")
    """,
}


@pytest.mark.parametrize(("mode", "how"), with_workers(GIVES_UP, "subtest"))
def test_a_test_that_gave_up_leaves_the_rest_of_the_baseline(
    run: Run, pytester: pytest.Pytester, mode: list[str], how: str
) -> None:
    if how == "subtest" and not hasattr(pytest, "Subtests"):
        pytest.skip("pytest has subtests from 9.0 on")
    run("--modelbudget-update", test_one=net(name="one"), test_two=net(name="two"))
    before = (pytester.path / LOCK).read_bytes()
    (pytester.path / "test_one.py").unlink()
    result = run(*mode, test_two=GIVES_UP[how])
    assert result.ret == pytest.ExitCode.OK  # nothing is stale
    for option, model in (("--modelbudget-prune", "Net()"), ("--modelbudget-update", "Net(220)")):
        run(*mode, option, test_two=GIVES_UP[how].replace("Net()", model))
        assert (pytester.path / LOCK).read_bytes() == before


def test_another_test_that_failed_may_have_measured(run: Run, pytester: pytest.Pytester) -> None:
    run("--modelbudget-update", test_net=net(), test_head=net(name="head"))
    before = (pytester.path / LOCK).read_bytes()
    dynamic = "def test_head(request):\n    assert 0\n    request.getfixturevalue('model_budget')"
    run("--modelbudget-prune", test_head=dynamic)
    assert (pytester.path / LOCK).read_bytes() == before


LEFT_OUT = {
    "ignored": ([], 'collect_ignore = ["test_head.py"]', "test_head.py was not collected"),
    "arguments": (["test_net.py"], "", "the run was asked for test_net.py; test_head.py was not collected"),
    "picked": ([], "def pytest_configure(config): config.args[:] = ['test_net.py']", "*test_head.py was not collected"),
}


@pytest.mark.parametrize(("mode", "how"), with_workers(LEFT_OUT, "ignored"))
def test_an_entry_whose_file_was_left_out_is_neither_stale_nor_pruned(
    run: Run, pytester: pytest.Pytester, mode: list[str], how: str
) -> None:
    run("--modelbudget-update", test_net=net(), test_head=net(name="head"))
    before = (pytester.path / LOCK).read_bytes()
    options, conftest, why = LEFT_OUT[how]
    pytester.makeconftest(conftest)
    assert run(*mode, *options).ret == pytest.ExitCode.OK  # nothing is stale
    result = run(*mode, *options, "--modelbudget-prune")
    assert (pytester.path / LOCK).read_bytes() == before
    result.stdout.fnmatch_lines([f"*nothing was removed from the baseline: {why}*"])
