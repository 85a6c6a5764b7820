"""A test under a budget that failed is in every report, whatever it failed with, and whether or not it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results.store import read_report

from .conftest import EVERY_MODE, PLAIN_AND_N2, Run

GOOD = """
@pytest.mark.budget(macs="22K")
def test_good(): Net()(X)

@pytest.mark.xfail(raises=AssertionError)
@pytest.mark.budget(macs="1K")
def test_expected(): Net()(X)

def test_of_nobody(): assert 0
"""
SUITE = (
    GOOD
    + """
@pytest.mark.budget(macs="lots")
def test_malformed(): Net()(X)

@pytest.mark.budget(macs="22K")
def test_nothing(): pass

def test_swallowed(model_budget):
    try: model_budget(Net(), X, macs="lots")
    except Exception: pass

def test_no_inputs(model_budget): model_budget(Net(), X[:, 1:])

@pytest.mark.budget(macs="22K")
def test_itself(): assert Net()(X) is None

@pytest.mark.budget(macs="22K")
def test_raises(): raise RuntimeError("no GPU: none")

@pytest.fixture
def broken(): raise KeyError("broken")

@pytest.mark.budget(macs="22K")
def test_setup(broken): Net()(X)

@pytest.fixture
def breaks():
    yield
    raise KeyError("broken")

@pytest.mark.budget(macs="22K")
def test_teardown(breaks): Net()(X)

@pytest.mark.xfail(raises=SystemExit)
@pytest.mark.budget(macs="22K")
def test_exits(): raise SystemExit(3)

@pytest.mark.xfail(strict=True)
@pytest.mark.budget(macs="22K")
def test_passes(): Net()(X)

@pytest.mark.budget(macs="1K")
def test_over(): Net()(X)
"""
)
SAID = {
    "test_exits": ": BudgetError: budget declared, but no model was measured: the test called no module",
    "test_itself": " failed by itself: AssertionError",
    "test_malformed": ": BudgetError: macs = 'lots' at test_all.py:",
    "test_no_inputs": ": ",
    "test_nothing": ": BudgetError: budget declared, but no model was measured: the test called no module",
    "test_passes": " failed by itself: [XPASS(strict)]",
    "test_raises": " failed by itself: RuntimeError",
    "test_setup": " failed by itself: KeyError",
    "test_swallowed": ": BudgetError: macs = 'lots' at ",
    "test_teardown": " failed by itself: KeyError",
}


@EVERY_MODE
def test_every_report_tells_of_it(
    run: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str], mode: list[str]
) -> None:
    reports = [f"--modelbudget-report={kind}" for kind in ("json", "markdown", "codequality")]
    result = run(*mode, *reports, test_all=SUITE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED test_all.py::test_exits - BudgetError: budget declared*"])
    stored = read_report((pytester.path / "modelbudget.json").read_text(), "x")
    assert [one.test for one in stored.failed] == [f"test_all.py::{name}" for name in SAID]
    capsys.readouterr()
    assert main(["show", str(pytester.path / "modelbudget.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    markdown = (pytester.path / "modelbudget.md").read_text()
    assert markdown.partition("\n")[0] == f"## Model budgets: 1 of 1 model fails, {len(SAID)} failed tests"
    for name, said in SAID.items():
        assert [line for line in lines if line.startswith(f"test_all.py::{name}{said}")], name
        assert name.replace("_", "\\_") in markdown
    found = json.loads((pytester.path / "gl-code-quality-report.json").read_text())
    assert sum(one["check_name"] == "modelbudget.failed" for one in found) == len(SAID)
    main(["show", str(pytester.path / "modelbudget.json"), "--format=count"])
    assert int(capsys.readouterr().out) == len(SAID) + 1


@PLAIN_AND_N2
def test_github_is_told(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    nothing = "@pytest.mark.budget(macs=1)\ndef test_nothing(): pass"
    result = run(*mode, test_nothing=nothing)
    result.stdout.fnmatch_lines(["::error file=test_nothing.py,title=failed test_nothing.py%3A%3Atest_nothing::*"])
    summary = Path("summary.md").read_text()
    assert summary.startswith("## Model budgets: 1 failed test\n")
    assert "no model was measured" in summary


@PLAIN_AND_N2
def test_a_run_in_which_none_failed_passes(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    run(*mode, "--modelbudget-report=markdown", test_all=GOOD)
    assert (pytester.path / "modelbudget.md").read_text().startswith("## Model budgets: ")
