"""``modelbudget merge`` and ``show``: the reports of shards are the report of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results.store import read_report

from .conftest import Run

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
def shards(pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    pytester.makepyfile(test_suite=SUITE)
    pytester.makeconftest(SHARD)
    for shard in range(3):
        monkeypatch.setenv("SHARD", str(shard))
        options = ["-n2"] if shard == 2 else []
        run(*options, f"--modelbudget-report=json:shard{shard}.json")
    return [str(pytester.path / f"shard{shard}.json") for shard in range(3)]


@pytest.mark.slow
def test_shards_make_a_run(shards: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", *shards, "--output", str(tmp_path / "all.json")]) == 0
    run = read_report((tmp_path / "all.json").read_text(), "all.json")
    assert [model.name for model in run.models] == ["net0", "net1", "net2", "net3"]
    assert run.complete
    capsys.readouterr()
    assert main(["show", str(tmp_path / "all.json")]) == 0
    assert "4 models within budget." in capsys.readouterr().out
    assert main(["show", str(tmp_path / "all.json"), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## Model budgets: 4 models within budget\n")

    assert main(["merge", *shards[:2]]) == 1
    missing = capsys.readouterr()
    assert missing.err == "modelbudget: a shard is missing: test_suite.py::test_net[2] ran in none of these\n"
    assert not read_report(missing.out, "-").complete


TABLE = """
[tool.modelbudget]
stale = "{stale}"
[tool.modelbudget.models]
net0 = {{ params = "1K" }}
gone = {{ params = "1K" }}
"""


@pytest.fixture
def run_shards(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[Sequence[str]]], tuple[str, ...]]:
    """Return what runs shards, each with arguments of its own, and names their reports."""

    def run_each(shards: Sequence[Sequence[str]]) -> tuple[str, ...]:
        for shard, arguments in enumerate(shards):
            monkeypatch.setenv("SHARD", str(shard))
            result = run(*arguments, f"--modelbudget-report=json:shard{shard}.json")
            assert result.ret == pytest.ExitCode.OK, result.outlines
        return tuple(str(pytester.path / f"shard{shard}.json") for shard in range(len(shards)))

    return run_each


Shards = Callable[[Sequence[Sequence[str]]], tuple[str, ...]]


@pytest.mark.parametrize(("stale", "code"), [("error", 1), ("warn", 0)])
@pytest.mark.parametrize("lock", [False, True], ids=["table", "lock"])
def test_an_entry_that_no_shard_measured_is_stale(
    pytester: pytest.Pytester,
    run: Run,
    run_shards: Shards,
    capsys: pytest.CaptureFixture[str],
    stale: str,
    code: int,
    lock: bool,
) -> None:
    if lock:
        pytester.makepyfile(test_suite=SUITE.replace("range(4)", "[0, 1, 2, 3, 7]"))
        run("--modelbudget-update")
    pytester.makepyfile(test_suite=SUITE)
    pytester.makeconftest(SHARD)
    table = TABLE.format(stale=stale)
    (pytester.path / "pyproject.toml").write_text(table.replace("gone = ", "net1 = ") if lock else table)
    reports = run_shards([[], [], ["-n0"]])
    capsys.readouterr()
    assert main(["merge", *reports, "--output", "all.json"]) == code
    said = (
        "no test measured net7 (args[0] 1x8 float32), which" if lock else "no test measured a model called gone, which"
    )
    assert capsys.readouterr().err.startswith(f"modelbudget: {said}" if code else "")
    main(["show", "all.json", "--format", "markdown"])
    assert capsys.readouterr().out.startswith(
        "## Model budgets: 1 fault of the run\n" if code else "## Model budgets: 4 models within"
    )
    main(["merge", *reports[:2]])
    assert "no test measured" not in capsys.readouterr().err


def test_two_shards_that_give_one_name_to_two_models(
    pytester: pytest.Pytester, run_shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    head = SUITE.partition("model_budget(nn")[0]
    measured = 'model_budget(nn.Linear(4, n + 1), torch.zeros(1, 4), name="net", params="1K")'
    pytester.makepyfile(test_suite=head + measured)
    pytester.makeconftest(SHARD.replace("% 3", "% 4"))
    assert main(["merge", *run_shards([[]] * 4)]) == 1
    assert "modelbudget: two different models are called net: params " in capsys.readouterr().err


def test_a_declared_model_that_no_shard_was_asked_for(
    pytester: pytest.Pytester, run_shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    (pytester.path / "pyproject.toml").write_text(
        '[tool.modelbudget.models.net]\nfactory = "torch.nn:Identity"\nparams = 1\n'
    )
    pytester.makepyfile(test_a="def test_a(): pass", test_b="def test_b(): pass")
    assert main(["merge", *run_shards([["test_a.py"], ["test_b.py"]])]) == 1
    assert "a shard is missing: pyproject.toml::net ran in none of these" in capsys.readouterr().err
    assert main(["merge", *run_shards([["test_a.py"], ["test_b.py"], ["pyproject.toml"]])]) == 0


def test_shards_of_a_part_of_the_files_are_not_the_whole(
    pytester: pytest.Pytester, run_shards: Shards, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.makepyfile(test_suite=SUITE, test_other="def test_other(): pass")
    pytester.makeconftest(SHARD)
    (pytester.path / "pyproject.toml").write_text(TABLE.format(stale="error"))
    assert main(["merge", *run_shards([["test_suite.py"]] * 3), "--output", "all.json"]) == 0
    main(["show", "all.json"])
    assert "Not measured, since the run was asked for test_suite.py: gone" in capsys.readouterr().out
