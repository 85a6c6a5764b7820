"""What is wrong with a run as a whole: failed items on screen and in JUnit, and exit code 1."""

from __future__ import annotations

from textwrap import dedent

import pytest

from .conftest import PLAIN_AND_N2, Run, with_workers
from .junit import cases_of, counts


@PLAIN_AND_N2
def test_two_models_of_one_name_fail_the_run(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    result = run(
        *mode,
        "--junitxml=junit.xml",
        test_one='def test_small(model_budget): model_budget(Net(), X, name="net")',
        test_two='def test_large(model_budget): model_budget(Net(300), X, name="net")',
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*two different models are called net: params 22,210 and 33,310, *macs 22,000 and 33,000*",
            "*test_one.py::test_small",
            "*test_two.py::test_large",
            "*model_budget(..., name=*",
            "FAILED modelbudget::name net - BudgetError: two different models are called n*",
            "*1 failed, 2 passed*",
        ]
    )
    assert counts(pytester.path / "junit.xml") == {"tests": 3, "failures": 1, "errors": 0, "skipped": 0}
    failure = cases_of(pytester.path / "junit.xml")["modelbudget::name net"].find("failure")
    assert failure is not None
    assert "two different models are called net" in failure.get("message", "")


def test_a_gate_is_no_test_in_the_line_of_progress(run: Run) -> None:
    result = run(
        "-v",
        test_one="""
        def test_small(model_budget): model_budget(Net(), X, name="net")
        def test_large(model_budget): model_budget(Net(300), X, name="net")
        """,
    )
    result.stdout.fnmatch_lines(["test_one.py::test_large PASSED * [[]100%]"])
    result.stdout.no_fnmatch_line("*[[]150%]*")


def test_factories_share_their_name_with_what_they_build_once(run: Run) -> None:
    result = run(
        test_one="""
        def test_one(model_budget): model_budget(net, X)
        def test_again(model_budget): model_budget(net, X)
        @pytest.mark.parametrize("width", [200, 300])
        def test_implicit(model_budget, width): model_budget(Net(width), X)
        """
    )
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.slow
def test_a_lost_worker_fails_the_run(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        "-n2",
        "--junitxml=junit.xml",
        test_one="""
        import os
        @pytest.mark.budget(macs="22K")
        @pytest.mark.parametrize("n", range(6))
        def test_net(n): Net()(X)
        def test_crash(): os._exit(3)
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED modelbudget::lost worker gw* - BudgetError: worker gw* was lost*"])
    result.stdout.fnmatch_lines(["Net *ok, at the limit (MACs)"])
    assert any(name.startswith("modelbudget::lost worker gw") for name in cases_of(pytester.path / "junit.xml"))


@pytest.mark.slow
def test_a_lost_worker_of_a_run_without_budgets_is_not_ours(run: Run) -> None:
    result = run("-n2", test_it="import os\ndef test_crash(): os._exit(3)\ndef test_fine(): pass")
    result.stdout.fnmatch_lines(["*node down: Not properly terminated*"])
    result.stdout.no_fnmatch_line("*modelbudget::*")


_KNOWS_ONLY_COLLECTED_TESTS = {
    "status": """
        import pytest
        @pytest.hookimpl(tryfirst=True)
        def pytest_report_teststatus(report):
            if report.nodeid.startswith("modelbudget"): raise RuntimeError("unknown test")
        """,
    "by phases": """
        cases = {}
        def pytest_runtest_logreport(report):
            if report.when == "setup": cases[report.nodeid] = []
            cases[report.nodeid].append(report.outcome)
        """,
}
"""How pytest-nunit (by phases) and hooks in conftests take the reports of tests."""


@pytest.mark.parametrize(("mode", "hook"), with_workers(_KNOWS_ONLY_COLLECTED_TESTS, "by phases"))
def test_hooks_that_know_only_collected_tests_hide_nothing(
    run: Run, pytester: pytest.Pytester, mode: list[str], hook: str
) -> None:
    pytester.makeconftest(dedent(_KNOWS_ONLY_COLLECTED_TESTS[hook]))
    result = run(
        *mode,
        "--junitxml=junit.xml",
        test_one="""
        def test_small(model_budget): model_budget(Net(), X, name="net")
        def test_large(model_budget): model_budget(Net(300), X, name="net")
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED modelbudget::name net - *", "*1 failed, 2 passed*"])
    assert counts(pytester.path / "junit.xml") == {"tests": 3, "failures": 1, "errors": 0, "skipped": 0}
