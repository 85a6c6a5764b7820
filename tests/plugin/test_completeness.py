"""Whether a run shows everything that the project's tests measure: what it knows about itself, with and without xdist."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from .conftest import PLAIN_AND_N2, Run, with_workers

CONFTEST = """
import pytest
from pytest_modelbudget.session.state import SESSION

@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config):
    from pytest_modelbudget.session.ending.gathering import run_of
    run = run_of(config.stash[SESSION])
    print("INCOMPLETE", sorted(run.incomplete), "TESTS", sorted(run.tests))
"""
TWO = """
@pytest.mark.budget(macs="22K")
def test_net(): Net()(X)

def test_head(model_budget): model_budget(Head())
"""


STALE = """
[tool.modelbudget]
stale = "report"
[tool.modelbudget.models.gone]
macs = 1
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """Make a project with a stale entry: whether every file was collected is looked up only where that matters."""
    pytester.makeconftest(CONFTEST)
    (pytester.path / "pyproject.toml").write_text(STALE)
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
    "test_two.py": "arguments, not collected",
    "test_two.py::test_net": "selected",
    "--ignore=test_other.py": "not collected",
    "--ignore-glob=*other.py": "not collected",
    "-o=python_files=test_two.py": "selected",
    "-o=testpaths=test_two.py": "selected",
    "-o=norecursedirs=other": "selected",
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


@PLAIN_AND_N2
@pytest.mark.parametrize("outermost", ["    items.pop(0)\n    return (yield)", "    yield\n    items.pop(0)"])
def test_a_shard_of_the_outermost_hook_is_not_complete(
    run: Run, project: Path, mode: list[str], outermost: str
) -> None:
    (project / "conftest.py").write_text(
        f"{CONFTEST}\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        f"def pytest_collection_modifyitems(items):\n{outermost}\n"
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


@pytest.mark.slow
def test_a_lost_worker_is_missing(run: Run, project: Path) -> None:
    result = run("-n2", test_two=TWO, test_crash="import os\ndef test_crash(): os._exit(3)")
    assert "deselected" not in incomplete(result)
    result.stdout.fnmatch_lines(["Not measured, since gw? was lost: gone"])


def test_a_run_from_a_folder_below_is_not_complete(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "below").mkdir()
    (project / "below" / "test_below.py").write_text("def test_below(): pass\n")
    monkeypatch.chdir(project / "below")
    assert incomplete(run(test_two=TWO)) == "not collected"


WITHOUT_A_WORD = {
    "collect_ignore": 'collect_ignore = ["test_other.py"]',
    "hook": 'def pytest_ignore_collect(collection_path): return True if collection_path.name == "test_other.py" else None',
    "arguments": 'def pytest_configure(config): config.args[:] = ["test_two.py"]',
    "file": """
        @pytest.hookimpl(tryfirst=True)
        def pytest_collect_directory(path, parent):
            if path.name == "tests": return Few.from_parent(parent, path=path)

        class Few(pytest.Dir):
            def collect(self): return [one for one in super().collect() if one.name != "test_other.py"]
    """,
}
"""How plugins and conftests leave files out: pytest-picked by the arguments, pytest-testmon by the hook."""


@pytest.mark.parametrize(("mode", "how"), with_workers(WITHOUT_A_WORD, "hook", "arguments"))
def test_a_file_that_was_left_out_without_a_word_is_missing(run: Run, project: Path, mode: list[str], how: str) -> None:
    (project / "conftest.py").write_text(f"{CONFTEST}\n{dedent(WITHOUT_A_WORD[how])}")
    folder = "tests__" if how == "file" else ""
    files = {"test_two": TWO, f"{folder}test_other": "def test_other(): pass"}
    assert incomplete(run(*mode, **files)).endswith("not collected")


@PLAIN_AND_N2
def test_a_part_that_holds_every_file_is_complete(run: Run, project: Path, mode: list[str]) -> None:
    """It has no more tests than the whole; a file without any, and what is not collected by itself, change nothing."""
    tests = {"tests__test_two": TWO, "tests__deep__test_none": "", "tools__helper": "", "venv__test_of_another": ""}
    (project / "more" / "lib").mkdir(parents=True)
    (project / "more" / "pyvenv.cfg").touch()
    (project / "more" / "lib" / "test_of_another.py").touch()
    (project / "env" / "conda-meta").mkdir(parents=True)
    (project / "env" / "conda-meta" / "history").touch()
    (project / "env" / "test_of_another.py").touch()
    assert incomplete(run(*mode, "tests", **tests)) == ""
    assert incomplete(run(*mode, "tests/test_two.py", **tests)) == "arguments, not collected"
    assert incomplete(run(*mode, "tests/test_two.py", "tests/deep", **tests)) == ""


@pytest.mark.parametrize(("mode", "ini"), with_workers(["tests", ".", "te*s", "*/test_*.py"], "te*s"))
def test_testpaths_are_the_project(run: Run, project: Path, mode: list[str], ini: str) -> None:
    (project / "pytest.ini").write_text(f"[pytest]\ntestpaths = {ini}\n")
    files = {"tests__test_two": TWO, "tests__test_none": "", "other__helper": ""}
    assert incomplete(run(*mode, **files)) == ""
    assert incomplete(run(*mode, "tests", **files)) == ""
    assert "not collected" in incomplete(run(*mode, "tests/test_two.py", **files))
    (project / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    assert incomplete(run(*mode, "tests", **files, other__test_b="")) == ""
    (project / "pytest.ini").write_text("[pytest]\n")
    assert incomplete(run(*mode, "tests", **files)) == "not collected"


def test_patterns_of_files_mean_what_they_mean_to_pytest(run: Run, project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\npython_files = checks/*.py\nnorecursedirs = old a/b\n")
    files = dict.fromkeys(("checks__one", "old__checks__two", "a__b__checks__three", "test_four"), "def test_a(): pass")
    assert incomplete(run("checks", **files)) == ""
    assert incomplete(run("checks", **files, b__checks__five="")) == "not collected"


def test_the_folder_of_the_table_is_the_project(run: Run, project: Path) -> None:
    (project / "pyproject.toml").unlink()
    files = {"vision__tests__test_a": TWO, "audio__test_b": ""}
    assert (
        incomplete(run("--modelbudget-config=vision/pyproject.toml", "vision", vision__pyproject=STALE, **files)) == ""
    )
    (project / "budgets.toml").write_text(STALE)
    assert "not collected" in incomplete(run("--modelbudget-config=budgets.toml", "vision"))
