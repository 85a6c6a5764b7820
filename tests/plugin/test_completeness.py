"""Whether a run shows everything that the project's tests measure: what it knows about itself, with and without xdist."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import PLAIN_AND_N2, Run

CONFTEST = """
import pytest
from pytest_modelbudget.session.state import SESSION

@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config):
    from pytest_modelbudget.session.controller import run_of
    run = run_of(config.stash[SESSION])
    print("INCOMPLETE", sorted(run.incomplete), "TESTS", sorted(run.tests))
"""
TWO = """
@pytest.mark.budget(macs="22K")
def test_net(): Net()(X)

def test_head(model_budget): model_budget(Head())
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    pytester.makeconftest(CONFTEST)
    return pytester.path


def incomplete(result: pytest.RunResult) -> str:
    (line,) = [line for line in result.outlines if line.startswith("INCOMPLETE")]
    return line.partition("[")[2].partition("]")[0].replace("'", "")


@PLAIN_AND_N2
def test_the_default_run_is_complete(run: Run, project: Path, mode: list[str]) -> None:
    result = run(*mode, test_two=TWO)
    assert incomplete(result) == ""
    result.stdout.fnmatch_lines(["*TESTS [[]'test_two.py::test_head', 'test_two.py::test_net']"])


@PLAIN_AND_N2
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["test_two.py"], "arguments"),
        (["test_two.py::test_net"], "arguments"),
        (["--ignore=test_other.py"], "arguments"),
        (["-k", "net"], "deselected"),
        (["-m", "budget"], "deselected"),
        (["--deselect=test_two.py::test_net"], "deselected"),
    ],
    ids=str,
)
def test_a_part_is_not_complete(run: Run, project: Path, mode: list[str], options: list[str], reason: str) -> None:
    assert incomplete(run(*mode, *options, test_two=TWO, test_other="def test_other(): pass")) == reason


@PLAIN_AND_N2
def test_a_shard_is_not_complete(run: Run, project: Path, mode: list[str]) -> None:
    """Some plugins for shards tell pytest nothing of what they leave out."""
    (project / "conftest.py").write_text(
        CONFTEST + "\ndef pytest_collection_modifyitems(items): items[:] = items[:1]\n"
    )
    assert incomplete(run(*mode, test_two=TWO)) == "deselected"


@PLAIN_AND_N2
@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.skip\n@pytest.mark.budget(macs=1)\ndef test_a(): pass",
        "@pytest.mark.budget(macs=1)\ndef test_a(): pytest.skip('no GPU')",
        "@pytest.mark.skip\ndef test_a(model_budget): pass",
        "@pytest.mark.xfail(run=False)\n@pytest.mark.budget(macs=1)\ndef test_a(): pass",
        "pytest.skip('no GPU', allow_module_level=True)",
    ],
)
def test_a_skipped_budget_is_missing(run: Run, project: Path, mode: list[str], source: str) -> None:
    assert incomplete(run(*mode, test_two=TWO, test_skipped=source)) == "skipped"


@PLAIN_AND_N2
def test_another_skipped_test_is_not_missing(run: Run, project: Path, mode: list[str]) -> None:
    assert incomplete(run(*mode, test_two=TWO, test_skipped="@pytest.mark.skip\ndef test_a(): pass")) == ""


def test_a_stopped_run_is_not_complete(run: Run, project: Path) -> None:
    assert incomplete(run("-x", test_a="def test_fails(): assert 0", test_two=TWO)) == "stopped"


@PLAIN_AND_N2
def test_a_file_that_cannot_be_collected_is_missing(run: Run, project: Path, mode: list[str]) -> None:
    shown = incomplete(run(*mode, "--continue-on-collection-errors", test_two=TWO, test_broken="import nowhere"))
    assert "collection failed" in shown


@pytest.mark.workers
def test_a_lost_worker_is_missing(run: Run, project: Path) -> None:
    assert "worker lost" in incomplete(run("-n2", test_two=TWO, test_crash="import os\ndef test_crash(): os._exit(3)"))


def test_a_run_from_a_folder_below_is_not_complete(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "below").mkdir()
    (project / "below" / "test_below.py").write_text("def test_below(): pass\n")
    monkeypatch.chdir(project / "below")
    assert incomplete(run(test_two=TWO)) == "arguments"
