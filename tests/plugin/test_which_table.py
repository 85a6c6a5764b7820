"""Which table is in use: the one that a person standing there would mean, or an error that names the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_modelbudget.session.files.in_use import is_same_file

from .conftest import EVERY_MODE, Run, with_workers

LIMITS = '[tool.modelbudget.default]\nmacs = "1K"\n'
PASSES = "def test(): pass\n"
OVER = "from models import *\n\ndef test_net(model_budget): model_budget(Net(), X)\n"
Put = Callable[..., Path]


@pytest.fixture
def put(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Write files below the folder of the test; the models can be imported from everywhere."""
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(pytester.path)

    def put(**files: str) -> Path:
        for name, text in files.items():
            path = pytester.path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return pytester.path

    return put


def refused(result: pytest.RunResult, *says: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str() + result.stderr.str()
    for part in says:
        assert part in result.stderr.str()
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@EVERY_MODE
def test_a_package_whose_rootdir_is_above(run: Run, put: Put, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    root = put(pkg__pyproject_dot_toml=LIMITS, pkg__test_net_dot_py=PASSES)
    named = "table would be ignored: rootdir is ", "--modelbudget-config="
    refused(run(*mode), "pkg/pyproject.toml", *named)
    refused(run(*mode, "pkg"), "pkg/pyproject.toml", *named)
    refused(run(*mode, "pkg/test_net.py::test"), "pkg/pyproject.toml", *named)
    monkeypatch.chdir(root / "pkg")
    refused(run(*mode), "pyproject.toml", *named)
    put(pkg__test_net_dot_py=OVER)
    chosen = run(*mode, "--modelbudget-config=pyproject.toml")
    chosen.stdout.fnmatch_lines(["*Net: macs 22.00 K > 1 K*"])


@EVERY_MODE
def test_a_package_below_the_one_with_the_options(run: Run, put: Put, mode: list[str]) -> None:
    put(pkg__pyproject_dot_toml=LIMITS, pkg__deep__test_net_dot_py=PASSES)
    refused(run(*mode, pyproject="[tool.pytest.ini_options]\n"), "pkg/pyproject.toml")


@EVERY_MODE
def test_two_packages_with_a_table_each(run: Run, put: Put, mode: list[str]) -> None:
    put(a__pyproject_dot_toml=LIMITS, b__pyproject_dot_toml=LIMITS, a__test_a_dot_py=PASSES, b__test_b_dot_py=PASSES)
    refused(run(*mode, "a", "b"), "a/pyproject.toml")


@EVERY_MODE
def test_a_table_in_a_package_beside_the_one_at_the_root(run: Run, put: Put, mode: list[str]) -> None:
    put(pkg__pyproject_dot_toml=LIMITS, pkg__test_net_dot_py=PASSES)
    refused(
        run(*mode, pyproject='[tool.modelbudget.default]\nmacs = "1M"\n'), "pkg/pyproject.toml", "from pyproject.toml"
    )


def test_a_folder_that_is_not_collected_is_not_asked(run: Run, put: Put) -> None:
    put(data__pyproject_dot_toml=LIMITS)
    assert run(test_net="def test(): pass").ret == pytest.ExitCode.OK


@EVERY_MODE
def test_options_from_elsewhere(run: Run, put: Put, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    root = put(shared__pytest_dot_ini="[pytest]\n", mine__pyproject_dot_toml=LIMITS, mine__test_net_dot_py=PASSES)
    monkeypatch.chdir(root / "mine")
    refused(run(*mode, "-c", "../shared/pytest.ini", "test_net.py"), "pyproject.toml", "rootdir is ")


@EVERY_MODE
def test_options_from_a_folder_below(run: Run, put: Put, mode: list[str]) -> None:
    put(ci__pytest_dot_ini="[pytest]\n")
    refused(run(*mode, "-c", "ci/pytest.ini", test_net=PASSES, pyproject=LIMITS), "--modelbudget-config=pyproject.toml")
    again = run(*mode, "-c", "ci/pytest.ini", "--modelbudget-config=pyproject.toml", "test_net.py", test_net=OVER)
    again.stdout.fnmatch_lines(["*Net: macs 22.00 K > 1 K *"])


@EVERY_MODE
def test_another_rootdir(run: Run, put: Put, mode: list[str]) -> None:
    put(inner__pyproject_dot_toml="[tool.pytest.ini_options]\n")
    refused(run(*mode, "--rootdir=inner", test_net=OVER, pyproject=LIMITS), "read from inner/pyproject.toml")


def test_the_file_that_pytest_prints_as_its_configfile(run: Run, put: Put) -> None:
    put(other__pyproject_dot_toml="[tool.pytest.ini_options]\n" + LIMITS)
    refused(run("-c", "other/pyproject.toml", "--rootdir=.", test_net=OVER), "other/pyproject.toml")


def test_a_project_inside_another_has_budgets_of_its_own(run: Run, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put(
        pyproject_dot_toml=LIMITS,
        inner__pyproject_dot_toml="[tool.pytest.ini_options]\n",
        inner__test_inner_dot_py="def test(): pass\n",
    )
    monkeypatch.chdir(root / "inner")
    assert run().ret == pytest.ExitCode.OK


def test_a_table_beyond_the_repository_is_another_projects(run: Run, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put(pyproject_dot_toml=LIMITS, repository__tests__test_inner_dot_py="def test(): pass\n")
    (root / "repository" / ".git").mkdir()
    monkeypatch.chdir(root / "repository" / "tests")
    assert run("--rootdir=.").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "name",
    [
        "tool.modelbudgets",
        "tool.model-budget",
        "tool.model_budget",
        "tool.pytest-modelbudget",
        "tool.pytest_modelbudget",
        "tool.pytest.modelbudget",
        "tool.ModelBudget",
        "tool.modelbugdet",
        "modelbudget",
        "pytest-modelbudget",
        "tools.modelbudget",
        "Tool.modelbudget",
        "tool.model.budget",
        "tool.modelbudget-limits",
        "tool.pytest.ini_options.modelbudget",
        "project.modelbudget",
        '"tool.modelbudget"',
    ],
)
def test_a_misspelt_table_is_refused(run: Run, name: str) -> None:
    text = f'[{name}.default]\nmacs = "1K"\n'
    refused(run(pyproject=text, test_net=PASSES), "would be ignored; write [tool.modelbudget]", name)


@pytest.mark.parametrize("name", ["tool.modelbudgets", "modelbudget"])
def test_a_misspelt_array_of_tables_is_refused(run: Run, name: str) -> None:
    text = f'[[{name}]]\nmacs = "1K"\n'
    refused(run(pyproject=text, test_net=PASSES), "would be ignored; write [tool.modelbudget]", name)


def test_an_array_of_tables_of_ours_is_refused(run: Run) -> None:
    refused(run(pyproject='[[tool.modelbudget]]\nmacs = "1K"\n', test_net=PASSES), "tool.modelbudget")


@EVERY_MODE
def test_a_misspelt_table_is_refused_with_workers_too(run: Run, mode: list[str]) -> None:
    refused(run(*mode, pyproject="[tool.modelbudgets]\n", test_net=PASSES), "write [tool.modelbudget]")


@pytest.mark.parametrize(
    "name",
    [
        "tool.budget",
        "tool.models",
        "tool.modeling",
        "tool.pytest",
        "tool.model.size",
        "tool.uv.sources.pytest-modelbudget",
        "project.urls",
    ],
)
def test_the_tables_of_others_are_left_alone(run: Run, name: str) -> None:
    assert run(pyproject=f'[{name}]\nx = "1K"\n', test_net="def test(): pass").ret == pytest.ExitCode.OK


KEYS = {"second": r'tool."model\u0062udget".default', "first": r'"\u0074ool".modelbudget.default'}


@pytest.mark.parametrize(("mode", "key"), with_workers(KEYS, "first"))
def test_a_table_written_with_escapes_is_in_use(run: Run, mode: list[str], key: str) -> None:
    result = run(*mode, pyproject=f'[{KEYS[key]}]\nmacs = "1K"\n', test_net=OVER)
    result.stdout.fnmatch_lines(["*Net: macs 22.00 K > 1 K *"])


def test_a_misspelt_table_with_escapes_is_refused(run: Run) -> None:
    refused(run(pyproject='[tool."model\\u0062udgets"]\n', test_net=OVER), "write [tool.modelbudget]")


def test_a_dangling_link_is_refused(run: Run, put: Put) -> None:
    (put() / "pyproject.toml").symlink_to("nowhere.toml")
    refused(run(test_net=OVER), "pyproject.toml: cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("pytest.ini", "modelbudget"),
        ("pytest.ini", "modelbudget.default"),
        ("pytest.ini", "tool.modelbudget.models.Net"),
        ("pytest.ini", " tool.modelbudget "),
        (".pytest.ini", "tool.modelbudget.default"),
        ("setup.cfg", "tool:modelbudget.default"),
        ("tox.ini", "modelbudget:default"),
        ("tox.ini", "pytest-modelbudget"),
    ],
)
def test_a_section_of_an_ini_file_is_refused(run: Run, put: Put, name: str, section: str) -> None:
    (put() / name).write_text(f"[{'tool:' if name == 'setup.cfg' else ''}pytest]\n[{section}]\nmacs = 1\n")
    refused(run(test_net=OVER), f"{name}: budgets are read from [tool.modelbudget] in pyproject.toml")


def test_a_section_of_another_tool_is_left_alone(run: Run, put: Put) -> None:
    put(tox_dot_ini="[pytest]\n[testenv:modelbudget]\n")
    assert run(test_net=PASSES).ret == pytest.ExitCode.OK


def test_one_file_by_two_paths_is_one_table(run: Run, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put(project__pyproject_dot_toml="[tool.pytest.ini_options]\n" + LIMITS, project__pkg__test_net_dot_py=OVER)
    (root / "link").symlink_to("project", target_is_directory=True)
    (root / "project" / "pkg" / "pyproject.toml").symlink_to("../pyproject.toml")
    monkeypatch.chdir(root / "project")
    for options in (["--rootdir=../link"], ["../link/pkg"], ["-c", "../link/pyproject.toml"], []):
        run(*options).stdout.fnmatch_lines(["*Net: macs 22.00 K > 1 K *"])


def test_one_file_by_another_spelling_is_one_file(tmp_path: Path) -> None:
    """As macOS takes Pyproject.toml for pyproject.toml; a second name stands for it."""
    (tmp_path / "a.toml").touch()
    (tmp_path / "b.toml").hardlink_to(tmp_path / "a.toml")
    (tmp_path / "other.toml").touch()
    assert is_same_file(tmp_path / "a.toml", tmp_path / "b.toml")
    assert not is_same_file(tmp_path / "a.toml", tmp_path / "other.toml")
    assert is_same_file(tmp_path / "missing", tmp_path / "missing")


@EVERY_MODE
@pytest.mark.parametrize("option", ["--modelbudget-config=", "--modelbudget-config=''"])
def test_an_empty_option_is_refused(run: Run, mode: list[str], option: str) -> None:
    refused(run(*mode, option, pyproject=LIMITS, test_net=PASSES), "cannot be read")


@pytest.mark.parametrize("option", ["--help", "-h", "--version", "--markers"])
def test_a_broken_table_leaves_the_help_alone(run: Run, option: str) -> None:
    result = run(option, "--modelbudget-config=budgets.toml", test_net=OVER)
    assert result.ret == pytest.ExitCode.OK
    assert result.stdout.str() or result.stderr.str()
