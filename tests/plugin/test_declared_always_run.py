"""A complete run holds every declared model, whatever keeps the file with the table from being collected."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelbudget.reports.markdown import escaped

from .conftest import PLAIN_AND_N2, Run, with_workers

ZOO = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 10))
    def forward(self, x): return self.layers(x)
"""
TABLE = '[tool.modelbudget.models.net]\nfactory = "zoo:Net"\ninputs = "1x100"\nmacs = "1K"\n'
FINE = "def test_fine(): pass"
OVER = "E   BudgetExceeded: net: macs 22.00 K > 1 K*"


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    (pytester.path / "zoo.py").write_text(ZOO)
    return pytester.path


@PLAIN_AND_N2
def test_where_a_hook_ignores_the_file(run: Run, project: Path, mode: list[str]) -> None:
    (project / "conftest.py").write_text('collect_ignore_glob = ["*.toml"]\n')
    result = run(*mode, pyproject=TABLE, test_a=FINE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([OVER, "FAILED pyproject.toml::net - *"])


@PLAIN_AND_N2
def test_where_the_table_stands_in_a_folder_that_is_not_searched(run: Run, project: Path, mode: list[str]) -> None:
    (project / ".ci").mkdir()
    (project / ".ci" / "budgets.toml").write_text(TABLE)
    result = run(*mode, "--modelbudget-config=.ci/budgets.toml", test_a=FINE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([OVER, "FAILED .ci/budgets.toml::net - *"])


@PLAIN_AND_N2
def test_where_the_table_stands_above_rootdir(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    (project / "pyproject.toml").write_text(TABLE)
    (project / "proj").mkdir()
    (project / "pytest.ini").rename(project / "proj" / "pytest.ini")
    monkeypatch.chdir(project / "proj")
    (project / "proj" / "test_a.py").write_text(FINE)
    result = run(*mode, "--modelbudget-config=../pyproject.toml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([OVER, "FAILED ../pyproject.toml::net - *"])


@pytest.mark.parametrize(("mode", "ini"), with_workers(["", "testpaths = ."], "testpaths = ."))
def test_where_rootdir_is_a_link_to_the_folder(
    run: Run, project: Path, tmp_path_factory: pytest.TempPathFactory, mode: list[str], ini: str
) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(project)
    (project / "pytest.ini").write_text(f"[pytest]\n{ini}")
    result = run(*mode, f"--rootdir={link}", pyproject=TABLE, test_a=FINE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([OVER])


def test_what_selects_items_selects_them(run: Run, project: Path) -> None:
    (project / "conftest.py").write_text('collect_ignore_glob = ["*.toml"]\n')
    run(pyproject=TABLE, test_a=FINE)

    def collected(*options: str) -> list[str]:
        result = run("--co", "-q", *options)
        return [line for line in result.outlines if "::" in line]

    both = ["test_a.py::test_fine", "pyproject.toml::net"]
    assert collected() == both
    assert collected("-k", "net") == both[1:]
    assert collected("-k", "fine") == both[:1]
    assert collected("-m", "modelbudget") == both[1:]
    assert collected("--deselect=pyproject.toml::net") == both[:1]
    assert collected("test_a.py") == both[:1]
    assert collected("--ignore=other") == both
    assert collected("--ignore=test_a.py") == both[1:]
    assert collected("--ignore=pyproject.toml") == both[:1]
    assert collected("--ignore-glob=*.toml") == both[:1]
    assert collected("pyproject.toml") == both[1:]
    (project / "conftest.py").unlink()
    assert collected() == both[::-1]


@PLAIN_AND_N2
def test_a_run_that_leaves_them_out_is_not_complete(run: Run, project: Path, mode: list[str]) -> None:
    (project / "conftest.py").write_text('collect_ignore_glob = ["*.toml"]\n')
    result = run(*mode, "-v", "--deselect=pyproject.toml::net", pyproject=TABLE, test_a=FINE)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Not measured, since a filter or a shard left tests out: net"])


@PLAIN_AND_N2
def test_an_option_that_ignores_the_table_is_named(run: Run, project: Path, mode: list[str]) -> None:
    result = run(*mode, "--ignore=pyproject.toml", pyproject=TABLE, test_a=FINE)
    result.stdout.fnmatch_lines(["Not measured, since --ignore=pyproject.toml changes what is collected: net"])


IN_FOLDERS = {"tests__test_a": FINE, "tests__deep__test_b": FINE, "docs__test_c": FINE}


@pytest.mark.parametrize(
    ("mode", "arguments"),
    with_workers(
        ["tests", "tests/", ".", "tests/deep docs", "{root}", "{root}/tests", "docs tests/test_a.py"], "tests"
    ),
)
def test_they_run_where_a_folder_directly_below_rootdir_is_asked_for(
    run: Run, project: Path, mode: list[str], arguments: str
) -> None:
    result = run(*mode, *arguments.format(root=project).split(), pyproject=TABLE, **IN_FOLDERS)
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines([OVER])


@pytest.mark.parametrize(("mode", "arguments"), with_workers(["tests/deep", "tests/test_a.py"], "tests/deep"))
def test_a_part_leaves_them_out_and_says_so(run: Run, project: Path, mode: list[str], arguments: str) -> None:
    for verbosity in ("-qq", "-v"):
        result = run(*mode, verbosity, arguments, pyproject=TABLE, **IN_FOLDERS)
        assert result.ret == pytest.ExitCode.OK
        result.stdout.fnmatch_lines([f"Not measured, since the run was asked for {arguments}: net"])
        result.stdout.no_fnmatch_line("*= model budgets =*")


@pytest.mark.parametrize(("mode", "ini"), with_workers(["tests/test_a.py", "tests/*.py docs"], "tests/*.py docs"))
def test_they_run_where_testpaths_name_files(run: Run, project: Path, mode: list[str], ini: str) -> None:
    (project / "pytest.ini").write_text(f"[pytest]\ntestpaths = {ini}\n")
    for arguments in ([], ini.replace("*", "test_a").split()):
        result = run(*mode, *arguments, pyproject=TABLE, **IN_FOLDERS)
        assert result.parseoutcomes()["failed"] == 1
    result = run(*mode, "tests/deep", pyproject=TABLE, **IN_FOLDERS)
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(("mode", "ini"), with_workers(["tests", "tests docs", "*s"], "tests docs"))
def test_they_run_where_all_testpaths_are_asked_for(run: Run, project: Path, mode: list[str], ini: str) -> None:
    (project / "pytest.ini").write_text(f"[pytest]\ntestpaths = {ini}\n")

    def runs(*arguments: str) -> bool:
        result = run(*mode, *arguments, pyproject=TABLE, **IN_FOLDERS)
        return result.parseoutcomes().get("failed") == 1

    assert runs("tests", "docs")
    assert runs(".")
    assert runs("tests") is (ini == "tests")
    assert not runs("tests/deep", "docs")


@PLAIN_AND_N2
def test_they_run_where_the_folder_of_the_table_is_asked_for(run: Run, project: Path, mode: list[str]) -> None:
    files = {"packages__vision__tests__test_a": FINE, "packages__audio__test_b": FINE}
    (project / "zoo.py").rename(project / "conftest.py")
    table = {"packages__vision__pyproject": TABLE.replace("zoo:", "conftest:")}
    option = "--modelbudget-config=packages/vision/pyproject.toml"
    result = run(*mode, option, "packages/vision", **table, **files)
    result.assert_outcomes(passed=1, failed=1)
    result = run(*mode, option, "packages/audio", **files)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["Not measured, since the run was asked for packages/audio: net"])


def test_what_a_part_leaves_out_fits_into_one_line(run: Run, project: Path) -> None:
    entries = "".join(f"[tool.modelbudget.models.net{number}]\nmacs = 1\n" for number in range(300))
    result = run("test_a.py", "--modelbudget-report=markdown", pyproject=entries, test_a=FINE, test_b=FINE)
    line = "Not measured, since the run was asked for test_a.py: net0, net1, net2 + 297 more"
    result.stdout.fnmatch_lines([line])
    assert f"\n{escaped(line)}.\n" in (project / "modelbudget.md").read_text()
    deep = "a_folder_with_a_long_name__" * 4
    result = run(deep.replace("__", "/"), pyproject=entries, test_b=FINE, **{f"{deep}test_a": FINE})
    (line,) = (line for line in result.outlines if line.startswith("Not measured"))
    assert line.startswith("Not measured in this part of the tests: net0, net1, ")
    assert len(line) <= 80


def test_they_run_again_where_they_failed(run_apart: Run, project: Path) -> None:
    (project / "conftest.py").write_text('collect_ignore_glob = ["*.toml"]\n')
    (project / "pyproject.toml").write_text(TABLE)
    (project / "test_a.py").write_text(FINE)
    run_apart()
    result = run_apart("--lf")
    result.assert_outcomes(failed=1, deselected=1)


WITHOUT_RUNNING = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if item.name == "net":
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
"""


@pytest.mark.parametrize(("mode", "measured"), with_workers(["nowhere", "elsewhere"], "elsewhere"))
def test_an_item_that_was_not_run_fails_a_complete_run(run: Run, project: Path, mode: list[str], measured: str) -> None:
    (project / "conftest.py").write_text(WITHOUT_RUNNING)
    measures = 'def test_net(model_budget): model_budget(Head(), name="net", macs=None)'
    source = measures if measured == "elsewhere" else FINE
    result = run(*mode, pyproject=TABLE.replace('macs = "1K"\n', ""), test_a=source)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*net is declared at pyproject.toml:2, and its item was not run*",
            "Not measured by its own item: net",
            "FAILED modelbudget::stale net - BudgetError: net is declared at *",
        ]
    )


@pytest.mark.slow
def test_an_item_of_a_group_of_workers_was_run(run: Run, project: Path) -> None:
    (project / "conftest.py").write_text(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_collection_modifyitems(items):\n"
        '    for item in items: item.add_marker(pytest.mark.xdist_group("one"))\n'
    )
    result = run("-n2", "--dist=loadgroup", pyproject=TABLE.replace("1K", "1M"), test_a=FINE)
    result.assert_outcomes(passed=2)


@PLAIN_AND_N2
def test_github_is_told_what_a_part_leaves_out(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    result = run(*mode, "tests/deep", pyproject=TABLE, **IN_FOLDERS)
    line = "Not measured, since the run was asked for tests/deep: net"
    result.stdout.fnmatch_lines([f"::notice title=model budgets::{line}"])
    assert line in (project / "summary.md").read_text()
