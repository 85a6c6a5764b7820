"""Plugins that run a test once more: a rerun starts anew, the last attempt counts, and a budget fails once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_modelbudget.results.store import read_report

from .conftest import PLAIN_AND_N2, Run, with_workers

PLUGINS = {
    "pytest-rerunfailures": ["--reruns=2"],
    "flaky": ["--force-flaky", "--max-runs=3"],
    "pytest-retry": ["--retries=2"],
}
"""By the name of its distribution, the options with which each plugin runs a test up to three times."""
# Each has a folder of its own (see the Makefile): installed, all of them would be part of every run of the suite.
FOLDER = Path(sys.prefix) / "reruns"

TESTS = """
attempts = []

@pytest.mark.budget(macs="1K")
def test_over(): Net()(X)

def test_over_with_the_fixture(model_budget): model_budget(Net(), X, macs="1K")

def test_swallowed(model_budget):
    with pytest.raises(AssertionError): model_budget(Net(), X, macs="1K")

@pytest.mark.budget(macs="22K")
def test_over_at_first():
    attempts.append(1)
    Net()(torch.zeros(3 - len(attempts), 100))

@pytest.mark.budget(params="23K")
def test_raises_at_first(model_budget):
    attempts.append("raises")
    if attempts.count("raises") == 1: raise RuntimeError("flaky")
    model_budget(Net(), X)

@pytest.mark.budget(macs="22K")
def test_measures_at_first():
    attempts.append("measures")
    if attempts.count("measures") == 1:
        Net()(X)
        raise RuntimeError("flaky")

@pytest.fixture
def marks(request):
    if "fixture" not in attempts: request.node.add_marker(pytest.mark.budget(macs="1K"))
    attempts.append("fixture")

def test_marked_by_a_fixture(marks): Net()(X)

@pytest.mark.xfail(strict=True)
@pytest.mark.budget(macs="1K")
def test_expected(): Net()(X)
"""
FAILED = ["over", "over_with_the_fixture", "swallowed", "measures_at_first", "marked_by_a_fixture"]


def use(plugin: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the runs of this test find a plugin, and return its options."""
    folder = FOLDER / plugin
    if not folder.is_dir():
        pytest.skip(f"{plugin} is not in {folder}: `make test` puts it there")
    monkeypatch.syspath_prepend(folder)
    return PLUGINS[plugin]


@pytest.mark.parametrize(("mode", "plugin"), with_workers(PLUGINS, *PLUGINS))
def test_the_last_attempt_counts_and_fails_once(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: list[str], plugin: str
) -> None:
    options = [*use(plugin, monkeypatch), "--modelbudget-report=json"]
    result = run(*mode, *options, test_net=TESTS)
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["passed"]) == (len(FAILED), 2)
    assert outcomes["xfailed"] in (1, 3)  # flaky tries again what is expected to fail
    assert "errors" not in outcomes
    result.stdout.fnmatch_lines_random([f"FAILED test_net.py::test_{name} - *Budget*" for name in FAILED])
    stored = read_report((pytester.path / "modelbudget.json").read_text(), "x")
    assert [failed.test for failed in stored.failed] == ["test_net.py::test_measures_at_first"]


@PLAIN_AND_N2
def test_a_malformed_mark_is_an_error_of_each_setup(run: Run, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    options = use("pytest-rerunfailures", monkeypatch)
    result = run(*mode, *options, test_net="@pytest.mark.budget(macs='lots')\ndef test_a(): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ERROR test_net.py::test_a - BudgetError: macs = 'lots' at *"])
