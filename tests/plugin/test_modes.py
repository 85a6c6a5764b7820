"""The mode of a model, in the lock file and in the reports: another mode is another computation, and no growth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results.store import read_report

from .conftest import PLAIN_AND_N2, Run

ZOO = """
    class GoogLeNet(nn.Module):
        def __init__(self, width=2):
            super().__init__()
            self.trunk, self.aux = nn.Linear(8, 4), nn.Linear(4, width)
        def forward(self, x):
            x = self.trunk(x)
            return (x, self.aux(x)) if self.training else x
"""
TABLE = '[tool.modelbudget.models.net]\nfactory = "zoo:GoogLeNet"\ninputs = "1x8"\n'
LOCK = "modelbudget.lock.json"


def lock_of_before(folder: Path) -> None:
    """Make the lock file one from before modes were kept, when a factory's model was measured in train mode."""
    text = (folder / LOCK).read_text()
    assert '"net": [{"inputs": ["args[0] 1x8 float32"], "mode": "train", "metrics": {' in text
    (folder / LOCK).write_text(text.replace('"mode": "train", ', ""))


@PLAIN_AND_N2
def test_another_mode_is_no_growth_until_the_next_update(
    run: Run, pytester: pytest.Pytester, mode: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # eval: 8 x 4 = 32 MACs, train: 4 x 2 = 8 more
    run(*mode, "--modelbudget-update", zoo=ZOO, pyproject=f"{TABLE}train = true\n")
    lock_of_before(pytester.path)
    (pytester.path / "old.json").write_text((pytester.path / LOCK).read_text())
    result = run(*mode, "--modelbudget-report=markdown", pyproject=TABLE)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["net *32 *ok, measured in eval now, in train before", "*1 MAC = 2 FLOPs, eval mode."])
    assert "measured in eval now, in train before" in (pytester.path / "modelbudget.md").read_text()

    wider = run(*mode, pyproject=f"{TABLE}arguments = {{ width = 3 }}\n")
    assert wider.ret == 1
    wider.stdout.fnmatch_lines(["net *GREW params 10.9%*"])  # 46 before: the 5 of another output

    run(*mode, "--modelbudget-update", pyproject=TABLE)
    assert json.loads((pytester.path / LOCK).read_text())["models"]["net"][0]["mode"] == "eval"
    run(*mode).stdout.fnmatch_lines(["net *32 *ok"])

    capsys.readouterr()
    assert main(["compare", "old.json", LOCK]) == 0
    assert main(["compare", LOCK, "old.json", "--format=markdown"]) == 0
    out = capsys.readouterr().out
    assert "  measured in eval now, in train before" in out
    assert "- **net**: measured in train now, in eval before" in out


def test_the_growth_of_a_part_is_none_in_another_mode(run: Run, pytester: pytest.Pytester) -> None:
    part = '[tool.modelbudget.models.net.modules."*"]\ngrowth = "0%"\n'
    run("--modelbudget-update", zoo=ZOO, pyproject=TABLE + part)
    text = (pytester.path / LOCK).read_text()
    assert '"mode": "eval", ' in text
    assert run(pyproject=f"{TABLE}train = true\n{part}").ret == 0
    wider = run(pyproject=f"{TABLE}train = true\narguments = {{ width = 3 }}\n{part}")
    wider.stdout.fnmatch_lines(["net *GREW [*] (1 of 2) params 50.0%"])


def test_every_report_says_the_mode(run: Run, pytester: pytest.Pytester) -> None:
    formats = ("json", "csv", "benchmark", "markdown", "html")
    reports = [f"--modelbudget-report={kind}" for kind in formats]
    both = f"{TABLE}[tool.modelbudget.models.training]\nlike = 'net'\ntrain = true\n"
    result = run("--junitxml=junit.xml", "-v", *reports, zoo=ZOO, pyproject=both)
    result.stdout.fnmatch_lines(["*1 MAC = 2 FLOPs, eval mode (train: training)."])
    said = "1 MAC = 2 FLOPs, eval mode (train: training)."
    read = {path.name: path.read_text(encoding="utf-8") for path in pytester.path.iterdir() if path.is_file()}
    assert said in read["modelbudget.md"]
    assert said in read["modelbudget.html"]
    models = read_report(read["modelbudget.json"], "modelbudget.json").models
    assert {one.name: one.measurement.mode for one in models} == {"net": "eval", "training": "train"}
    rows = [*csv.DictReader(read["modelbudget.csv"].splitlines())]
    assert {(row["model"], row["mode"]) for row in rows} == {("net", "eval"), ("training", "train")}
    assert {one["extra"] for one in json.loads(read["benchmark.json"])} == {"eval mode", "train mode"}
    assert '<property name="modelbudget.training.mode" value="train"' in read["junit.xml"]


def test_a_failure_says_the_mode(run: Run) -> None:
    result = run(zoo=ZOO, pyproject=f"{TABLE}macs = 31\n")
    result.stdout.fnmatch_lines(["E *counted: 1 MAC = 2 FLOPs; args[[]0[]] 1x8 float32; shape run, eval"])


def test_an_observed_call_has_the_mode_of_its_model(run: Run, pytester: pytest.Pytester) -> None:
    run(
        "--modelbudget-report=csv",
        test_it="""
            @pytest.mark.budget(macs="1K")
            def test_it():
                Net().eval()(torch.zeros(1, 100))
        """,
    )
    rows = [*csv.DictReader((pytester.path / "modelbudget.csv").read_text().splitlines())]
    assert {row["mode"] for row in rows} == {"eval"}
