"""``modelbudget merge`` and ``show``: the reports of shards are the report of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results.store import read_report

SUITE = """
import pytest, torch
from torch import nn

@pytest.mark.parametrize("n", range(4))
def test_net(model_budget, n): model_budget(nn.Linear(n + 1, 1), torch.zeros(1, n + 1), name=f"net{n}", params="1K")
"""
SHARD = """
import os

def pytest_collection_modifyitems(items):
    shard = int(os.environ["SHARD"])
    items[:] = [item for index, item in enumerate(items) if index % 3 == shard]
"""


@pytest.fixture
def shards(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    pytester.makepyfile(test_suite=SUITE)
    pytester.makeconftest(SHARD)
    for shard in range(3):
        monkeypatch.setenv("SHARD", str(shard))
        options = ["-n2"] if shard == 2 else []
        pytester.runpytest_subprocess(*options, f"--modelbudget-report=json:shard{shard}.json")
    return [str(pytester.path / f"shard{shard}.json") for shard in range(3)]


@pytest.mark.workers
def test_shards_make_a_run(shards: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *shards, "--output", str(tmp_path / "all.json")]) == 0
    run = read_report((tmp_path / "all.json").read_text(), "all.json")
    assert [model.name for model in run.models] == ["net0", "net1", "net2", "net3"]
    assert run.complete
    capsys.readouterr()
    assert main(["show", str(tmp_path / "all.json")]) == 0
    assert "4 models within budget (1 MAC = 2 FLOPs)." in capsys.readouterr().out
    assert main(["show", str(tmp_path / "all.json"), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## Passed: 4 models within budget\n")

    assert main(["merge", *shards[:2]]) == 1
    missing = capsys.readouterr()
    assert missing.err == "modelbudget: a shard is missing: test_suite.py::test_net[2] ran in none of these\n"
    assert not read_report(missing.out, "-").complete
