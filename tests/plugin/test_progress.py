"""What is said while a measurement takes long: nothing, but under ``-v`` what it is doing."""

from __future__ import annotations

import pytest

from pytest_modelbudget.session.one_test import progress

from .conftest import Run

SLOW = """
import time

class Undecided(Net):
    def forward(self, x):
        time.sleep(0.3)
        if x.sum().item() > 1:
            raise ValueError
        return super().forward(x)

def test_instance(model_budget):
    print("mine")
    model_budget(Undecided(), X)

def test_factory(model_budget): model_budget(Undecided, X)

def test_quick(model_budget): model_budget(Net(), X)
"""
REASON = "because it asks for values: aten::_local_scalar_dense at * if x.sum().item() > 1:"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.1)


def test_a_slow_measurement_says_what_it_does(run: Run) -> None:
    result = run("-v", "-p", "no:randomly", test_slow=SLOW)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "test_slow.py::test_instance *",
            "  measuring: a run on shapes",
            f"  measuring: a real run, {REASON}",
            "test_slow.py::test_instance PASSED *",
            "test_slow.py::test_factory *",
            "  measuring: a run on shapes",
            f"  measuring: building the model with its weights, {REASON}",
            f"  measuring: a real run, {REASON}",
            "test_slow.py::test_factory PASSED *",
            "test_slow.py::test_quick PASSED *",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*mine*")


@pytest.mark.parametrize("options", [[], ["-q"], pytest.param(["-v", "-n1"], marks=pytest.mark.slow)], ids=" ".join)
def test_otherwise_nothing_is_said(run: Run, options: list[str]) -> None:
    result = run(*options, test_slow=SLOW)
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*measuring*")


def test_a_quick_measurement_says_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 60)
    run("-v", test_slow=SLOW).stdout.no_fnmatch_line("*measuring*")


def test_it_is_said_without_capturing_too(run: Run) -> None:
    result = run("-v", "-p", "no:capture", test_slow=SLOW)
    result.stdout.fnmatch_lines(["*mine", "  measuring: a run on shapes", "test_slow.py::test_instance PASSED*"])
