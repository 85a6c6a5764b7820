"""Markdown of a run: what is left out where there are many models, and names that mean something in Markdown."""

from __future__ import annotations

import pytest

from pytest_modelbudget.budgets import Budget, Limit, Place, judge
from pytest_modelbudget.budgets.judging import Baseline
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost
from pytest_modelbudget.reports.markdown import LONGEST, of_run
from pytest_modelbudget.results import Result, Run, TestResult, gather
from pytest_modelbudget.results.standings import standings
from pytest_modelbudget.results.store import read_report, write_report

LONG = "model_" + "x" * 60


def run(values: list[int], name: str = LONG, module: str = "layer") -> Run:
    """Return a run of models, each with a limit of 1,000 MACs for itself and its one module, and 900 MACs before."""
    found = {}
    for place, macs in enumerate(values):
        own = Costs(macs=macs)
        tree = ModuleCost("", "Net", 1, Costs(macs=0), own, children=(ModuleCost(module, "Linear", 1, own, own),))
        measured = Measurement(f"{name}{place}", 0, 0, 0, tree, macs, named=True)
        limit = Budget({"macs": Limit(1000, "1,000", Place("pyproject.toml", place + 1))})
        budget = Budget(limit.limits, parts={module: limit})
        result = Result.of(judge(measured, budget, None, Baseline({"macs": 900})), measured)
        found[f"test[{place}]"] = TestResult((result,))
    return gather(found)


@pytest.mark.parametrize("failing", [0, 3, 300])
@pytest.mark.parametrize("quiet", [0, 3, 900])
def test_every_model_is_shown_or_counted_and_the_worst_come_first(failing: int, quiet: int) -> None:
    text = of_run(run([900] * quiet + [1001 + place for place in range(failing)]))
    assert len(text) <= LONGEST
    shown = [line for line in text.splitlines() if line.startswith("|**")]
    assert [int(line.split("|")[4].replace(",", "")) for line in shown] == [
        1000 + failing - place for place in range(min(failing, 20))
    ]
    assert ("And 280 more models: " in text) is (failing == 300)
    assert (f"{quiet} other models" in text) is bool(quiet and (failing or quiet == 900))
    assert text.count("|ok, 10.0% left (MACs)|") == (3 if quiet == 3 else 0)
    assert text.count("<summary>Where the cost is</summary>") == bool(failing)
    assert text.count("<summary>How to accept what grew</summary>") == bool(failing)


def test_names_of_modules_stay_in_their_cells() -> None:
    text = of_run(run([1001], "net", "a|b"))
    assert "||a\\|b MACs||1,001||1,000|**over by 0.10%**|" in text
    assert "- **net0** MACs: a\\|b 100%" in text
    assert "||`layer` MACs||" in of_run(run([1001]))


def test_limits_and_the_names_of_modes_mean_nothing() -> None:
    """A report may be somebody else's, as of a fork, and say what the plugin would never write."""
    one = run([1001, 900], "@me")
    text = write_report(one).replace('"1,000"', '"[1](//x) <b>"')
    text = text.replace('"named":true', '"named":true,"mode":"train"').replace('"train"', '"eval"', 1)
    shown = of_run(read_report(text, "report"))
    assert "|\\[1\\](//x)\N{NO-BREAK SPACE}&lt;b&gt;|**over by 0.10%**|" in shown
    assert "(train: @<!-- -->me1)" in shown


def test_models_within_their_limits_stand_by_what_is_left() -> None:
    models = standings(run([900, 990, 1000, 0, 1002, 1001], "net"))
    assert [one.name for one in models] == ["net4", "net5", "net2", "net1", "net0", "net3"]
