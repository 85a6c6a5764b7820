"""One table of metrics: a metric that is added to it is found wherever metrics are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import pytest_modelbudget
from pytest_modelbudget.measurement import Costs, Measurement
from pytest_modelbudget.metrics import METRICS

PACKAGE = Path(pytest_modelbudget.__file__).parent
METRIC = """
    frobs: Annotated[
        Value,
        Metric(label="Frobs", units=("frob", "frobs"), example="7K", misspellings=("frobnications",), column=True,
               shows_unit=True),
    ]
"""
TESTS = """
import pytest
import inspect
import torch
from torch import nn
from pytest_modelbudget import ModelBudget, measure

@pytest.mark.budget(frobs="6 frobs")
def test_over(model_budget): model_budget(nn.Linear(2, 2), name="over")

def test_within(model_budget): model_budget(nn.Linear(2, 2), name="within", frobs="1K frob")

def test_misspelt(model_budget): model_budget(nn.Linear(2, 2), frobnications=3)

def test_another_unit(model_budget): model_budget(nn.Linear(2, 2), params="3 frobs")

def test_unreadable(model_budget): model_budget(nn.Linear(2, 2), frobs="many")

@pytest.mark.budget(frob="6")
def test_near_miss(): pass

def test_from_table(model_budget): model_budget(nn.Linear(2, 2), name="listed")

def test_signature():
    assert "frobs" in inspect.signature(ModelBudget.__call__).parameters
    assert "frobs=7" in repr(measure(nn.Linear(2, 2)))
    assert measure(nn.Linear(2, 2)).as_dict()["frobs"] == 7
"""


@pytest.fixture(scope="module")
def with_frobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package, add one line to the table, and the field in which it is measured: every module has 7 frobs."""
    folder = tmp_path_factory.mktemp("frobs")
    package = folder / "package" / "pytest_modelbudget"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    table = package / "metrics.py"
    text = table.read_text()
    place = text.index("    weight_bytes: Annotated[")
    table.write_text(text[:place] + METRIC.lstrip("\n") + text[place:])
    for name, last in (("costs.py", "weight_bytes: int = 0"), ("measurement.py", "named: bool = False")):
        data = package / name
        data.write_text(data.read_text().replace(f"    {last}\n", f"    {last}\n    frobs: int = 7\n", 1))
    (folder / "test_frobs.py").write_text(TESTS)
    (folder / "pyproject.toml").write_text('[tool.modelbudget.models.listed]\nfrobs = { max = 6, warn = "5" }\n')
    return folder


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    environment = {**os.environ, "PYTHONPATH": str(folder / "package"), "COLUMNS": "100"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_an_invented_metric_is_found_everywhere(with_frobs: Path) -> None:
    shown = run(with_frobs, "--junitxml=junit.xml")
    for part in (
        "over: frobs 7 frob > 6 frob (+16.7%)",
        "listed: frobs 7 frob > 6 frob (+16.7%)",
        "pyproject.toml:2 [tool.modelbudget.models.listed]",
        "Did you mean frobs=?",
        "frob= at test_frobs.py:19",
        "is the unit of frobs, not of params",
        'This works: frobs = "7K"',
        "model   params  MACs  Frobs             status",
        "within  6       -     7 frob / 1 Kfrob  ok, 99.3% left (Frobs)",
    ):
        assert part in shown, shown
    cases = ElementTree.parse(with_frobs / "junit.xml").iter("property")
    found = {one.get("name"): one.get("value") for one in cases}
    assert "rules.py" not in shown, "a traceback does not end at the user's line"
    assert (found["modelbudget.over.frobs"], found["modelbudget.over.frobs.limit"]) == ("7", "6")
    assert "test_signature" not in shown.partition("short test summary")[2]


def test_an_invented_metric_is_in_the_help_on_marks(with_frobs: Path) -> None:
    assert "frobs, " in run(with_frobs, "--markers")


def test_every_metric_is_a_field() -> None:
    assert {name for name, metric in METRICS.items() if metric.has_parts} == set(Costs.__struct_fields__)
    assert set(METRICS) <= set(Measurement.__struct_fields__)
