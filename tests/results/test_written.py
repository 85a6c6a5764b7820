"""What earlier commits have written is read: a lock file and a report of every shape that there ever was.

All are of one project, that below (the first ones of less of it, for there was less to be asked for). Where a commit
writes another shape, ``UPDATE_WRITTEN=1 pytest tests/results/test_written.py`` adds a file; none is ever changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.results.baseline import read_lock
from pytest_modelbudget.results.comparing import Identity, compare, of_lock, of_run
from pytest_modelbudget.results.store import read_report

WRITTEN = Path(__file__).parent / "written"
LOCKS, REPORTS = (sorted(WRITTEN.glob(f"{kind}-*.json")) for kind in ("lock", "report"))

NETS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x): return self.layers(x)
"""
TESTS = """
import pytest, torch
from nets import Net

@pytest.mark.budget(params="1K")
def test_marked(): Net()(torch.zeros(2, 4))
def test_named(model_budget): model_budget(Net, torch.zeros(2, 4), name="net", macs="1K")
def test_over(model_budget): model_budget(lambda: Net(16), torch.zeros(2, 4), name="over", macs="10")
def test_training(model_budget): model_budget(Net, torch.zeros(2, 4), name="trained", backward=True, training_macs="10K")
def test_two(model_budget):
    for n in (1, 3): model_budget(Net, torch.zeros(n, 4), name="two", macs="1K")
"""
TABLE = """
[tool.modelbudget.models.declared]
factory = "nets:Net"
inputs = "2x4"
macs = "1K"
peak_bytes = "1 MB"
train = true

[tool.modelbudget.models.declared.modules."layers.0"]
macs = "100"

[tool.modelbudget.models.ranged]
factory = "nets:Net"
inputs = "{1,2,4}x4"
macs = "1K"
optimizer = "torch.optim:AdamW"
safetensors_bytes = "1 MB"
backward = true
"""
COSTS = {"params": 58, "macs": 96}
"""Of Net, for two rows: 4 x 8 + 8 + 8 x 2 + 2 parameters, and 2 x (4 x 8 + 8 x 2) MACs."""


NET = ("net", ("args[0] 2x4 float32",))
NO_GROWTH = parse_growth("0%", Place("here"))


def lock(path: Path) -> Mapping[Identity, Measurement]:
    return of_lock(read_lock(path.read_text(encoding="utf-8"), path.name, flops_per_mac=2))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_the_lock_is_read(path: Path) -> None:
    assert {name: getattr(lock(path)[NET], name) for name in COSTS} == COSTS
    compared = {found.name: found.kind for found in compare(lock(path), lock(LOCKS[-1]), NO_GROWTH)}
    assert (compared["net"], compared["trained"]) == ("same", "same")


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_the_report_is_read(path: Path) -> None:
    run = read_report(path.read_text(encoding="utf-8"), path.name)
    assert {model.name for model in run.models if model.fails} == {"over"}
    assert {name: getattr(of_run(run)[NET], name) for name in COSTS} == COSTS


def test_what_is_written_today_has_a_file(
    pytester: pytest.Pytester, run_apart: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(nets=NETS, test_nets=TESTS)
    pytester.makepyprojecttoml(TABLE)
    run_apart("--modelbudget-update", "-k", "not over").assert_outcomes(passed=6)
    run_apart("--modelbudget-report=json").assert_outcomes(passed=6, failed=1)
    for kind, name, known in (("lock", "modelbudget.lock.json", LOCKS), ("report", "modelbudget.json", REPORTS)):
        text = (pytester.path / name).read_text(encoding="utf-8")
        if shape(text) not in [shape(path.read_text(encoding="utf-8")) for path in known]:
            assert os.environ.get("UPDATE_WRITTEN"), f"the {kind} has a new shape: see the head of this file"
            schema = json.loads(text)["schema"]
            (WRITTEN / f"{kind}-{len(known) + 1:02}-schema-{schema}.json").write_text(text, encoding="utf-8")


def shape(text: str) -> set[str]:
    """Return the paths to the values of JSON, whose models have names of their own."""
    return {*_paths(json.loads(text))}


def _paths(found: Any, at: str = "") -> Iterator[str]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _paths(value, f"{at}.{'*' if at == '.models' else key}")
    elif isinstance(found, list):
        for value in found:
            yield from _paths(value, f"{at}[]")
    yield at
