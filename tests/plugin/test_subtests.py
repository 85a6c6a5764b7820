"""Subtests of pytest and of unittest: each fails by itself, and the test around them loses nothing."""

from __future__ import annotations

import pytest

from .conftest import EVERY_MODE, Run

pytestmark = pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has subtests from 9.0 on")

SUBTESTS = """
import contextlib, unittest

def swallow(model_budget):
    with contextlib.suppress(AssertionError):
        model_budget(Net(), X, macs="1K")

def test_over(subtests, model_budget):
    for limit in ("1K", "1M"):
        with subtests.test(): model_budget(Net(), X, macs=limit)

def test_swallowed(subtests, model_budget):
    with subtests.test(): swallow(model_budget)

def test_fails_by_itself(subtests, model_budget):
    with subtests.test():
        swallow(model_budget)
        raise RuntimeError("mine")

@pytest.mark.xfail
def test_malformed_under_xfail(subtests, model_budget):
    with subtests.test(): model_budget(Net(), X, macs="lots")

@pytest.mark.budget(macs="1K")
def test_observed(subtests):
    with subtests.test(): Net()(X)

class TestUnittest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _budget(self, model_budget):
        self.model_budget = model_budget

    def test_over_in_a_testcase(self):
        for limit in ("1K", "1M"):
            with self.subTest(): self.model_budget(Net(), X, macs=limit)

    def test_swallowed_in_a_testcase(self):
        with self.subTest():
            swallow(self.model_budget)

    def test_swallowed_before_a_skip_in_a_testcase(self):
        with self.subTest():
            swallow(self.model_budget)
            self.skipTest("whatever")

    @unittest.expectedFailure
    def test_malformed_and_expected_in_a_testcase(self):
        with self.subTest(): self.model_budget(Net(), X, macs="lots")
"""


@EVERY_MODE
def test_no_subtest_hides_a_failure(run: Run, mode: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run(*mode, "--tb=short", test_subtests=SUBTESTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    short = "\n".join(line for line in result.outlines if line.startswith(("FAILED", "SUBFAILED")))
    for name, says in (
        ("test_over", "BudgetExceeded: Net: macs"),
        ("test_over", "contains 1 failed subtest"),
        ("test_swallowed", "BudgetError: the test swallowed"),
        ("test_fails_by_itself", "RuntimeError: mine"),
        ("test_malformed_under_xfail", "BudgetError: macs = 'lots'"),
        ("test_observed", "BudgetExceeded: Net: macs"),
        ("TestUnittest::test_over_in_a_testcase", "BudgetExceeded: Net: macs"),
        ("TestUnittest::test_swallowed_in_a_testcase", "BudgetError: the test swallowed"),
        ("TestUnittest::test_swallowed_before_a_skip_in_a_testcase", ""),
        ("TestUnittest::test_malformed_and_expected_in_a_testcase", "BudgetError: macs = 'lots'"),
    ):
        assert f" test_subtests.py::{name} - {says}" in short, (name, short)
    assert "test_fails_by_itself - BudgetE" not in short
