"""Whether a run shows everything that the project's tests measure: what it knows about itself, with and without xdist."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import PLAIN_AND_N2, Run, with_workers

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


PARTS = {
    "test_two.py": "arguments",
    "test_two.py::test_net": "arguments",
    "--ignore=test_other.py": "arguments",
    "-k=net": "deselected",
    "-m=budget": "deselected",
    "--deselect=test_two.py::test_net": "deselected",
}


@pytest.mark.parametrize(("mode", "option"), with_workers(PARTS, "test_two.py", "-k=net"))
def test_a_part_is_not_complete(run: Run, project: Path, mode: list[str], option: str) -> None:
    assert incomplete(run(*mode, option, test_two=TWO, test_other="def test_other(): pass")) == PARTS[option]


@PLAIN_AND_N2
def test_a_shard_is_not_complete(run: Run, project: Path, mode: list[str]) -> None:
    """Some plugins for shards tell pytest nothing of what they leave out."""
    (project / "conftest.py").write_text(
        CONFTEST + "\ndef pytest_collection_modifyitems(items): items[:] = items[:1]\n"
    )
    assert incomplete(run(*mode, test_two=TWO)) == "deselected"


SKIPPED = {
    "mark": "@pytest.mark.skip\n@pytest.mark.budget(macs=1)\ndef test_a(): pass",
    "call": "@pytest.mark.budget(macs=1)\ndef test_a(): pytest.skip('no GPU')",
    "fixture": "@pytest.mark.skip\ndef test_a(model_budget): pass",
    "xfail": "@pytest.mark.xfail(run=False)\n@pytest.mark.budget(macs=1)\ndef test_a(): pass",
    "module": "pytest.skip('no GPU', allow_module_level=True)",
}


@pytest.mark.parametrize(("mode", "what"), with_workers(SKIPPED, "call", "module"))
def test_a_skipped_budget_is_missing(run: Run, project: Path, mode: list[str], what: str) -> None:
    assert incomplete(run(*mode, test_two=TWO, test_skipped=SKIPPED[what])) == "skipped"


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
