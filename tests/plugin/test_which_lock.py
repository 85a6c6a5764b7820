"""Which baseline is in use: the one that a person standing there would mean, or an error that names the other."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from .conftest import EVERY_MODE, Run

LOCK = "modelbudget.lock.json"
HEAD = "import pytest; from models import *\n"
NET = HEAD + 'def test_net(model_budget): model_budget(Net(), X, name="net")\n'
GROWN = NET.replace("Net()", "Net(220)")


@pytest.fixture
def pkg(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a model that has grown since its baseline was written there, below the rootdir."""
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(pytester.path)
    folder = pytester.path / "pkg"
    folder.mkdir()
    shutil.copy(pytester.path / "pytest.ini", folder)
    (folder / "test_h.py").write_text(NET)
    with monkeypatch.context() as below:
        below.chdir(folder)
        assert run("--modelbudget-update").ret == pytest.ExitCode.OK
    sys.modules.pop("test_h", None)
    assert (folder / LOCK).is_file()
    (folder / "test_h.py").write_text(GROWN)
    return folder


def refused(result: pytest.RunResult, ignored: str, used: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str() + result.stderr.str()
    for part in (f"{ignored}: this baseline would be ignored: rootdir is ", f"so the baseline is read from {used}. "):
        assert part in result.stderr.str()
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@EVERY_MODE
def test_a_lock_whose_rootdir_is_above(run: Run, pkg: Path, monkeypatch: pytest.MonkeyPatch, mode: list[str]) -> None:
    for arguments in ([], ["--rootdir=.", "pkg"], ["--rootdir=.", "pkg/test_h.py::test_net"]):
        refused(run(*mode, *arguments), f"pkg/{LOCK}", f"{LOCK} (no such file)")
    monkeypatch.chdir(pkg)
    refused(run(*mode, "--rootdir=.."), LOCK, f"../{LOCK} (no such file)")
    grown = run(*mode)
    assert grown.ret == pytest.ExitCode.TESTS_FAILED
    grown.stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])


@EVERY_MODE
def test_a_lock_beside_options_from_elsewhere(
    run: Run, pkg: Path, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    (pkg.parent / "ci").mkdir()
    shutil.copy(pkg / "pytest.ini", pkg.parent / "ci")
    monkeypatch.chdir(pkg)
    refused(run(*mode, "-c", "../ci/pytest.ini"), LOCK, f"../ci/{LOCK} (no such file)")


@EVERY_MODE
def test_a_lock_in_a_package_beside_the_one_at_the_root(run: Run, pkg: Path, mode: list[str]) -> None:
    shutil.copy(pkg / LOCK, pkg.parent)
    result = run(*mode)
    refused(result, f"pkg/{LOCK}", LOCK)
    assert "no such file" not in result.stderr.str()


@EVERY_MODE
def test_a_lock_is_not_written_past_another(run: Run, pkg: Path, mode: list[str]) -> None:
    refused(run(*mode, "--modelbudget-update"), f"pkg/{LOCK}", f"{LOCK} (no such file)")
    assert not (pkg.parent / LOCK).exists()


@EVERY_MODE
def test_the_table_in_use_names_the_lock(run: Run, pkg: Path, mode: list[str]) -> None:
    result = run(*mode, pyproject=f'[tool.modelbudget]\nbaseline = "pkg/{LOCK}"\n')
    result.stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])
    shutil.copy(pkg / LOCK, pkg.parent / "mine.json")
    other = run(*mode, pyproject='[tool.modelbudget]\nbaseline = "mine.json"\n')
    other.stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])


@EVERY_MODE
def test_a_lock_beside_the_table_that_was_asked_for(run: Run, pkg: Path, mode: list[str]) -> None:
    (pkg / "pyproject.toml").write_text("[tool.modelbudget]\n")
    result = run(*mode, "--modelbudget-config=pkg/pyproject.toml")
    result.stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])
    (pkg.parent / "ci").mkdir()
    (pkg / "pyproject.toml").rename(pkg.parent / "ci" / "budgets.toml")
    elsewhere = run(*mode, "--modelbudget-config=ci/budgets.toml")
    assert elsewhere.ret == pytest.ExitCode.USAGE_ERROR
    assert f"pkg/{LOCK}: this baseline would be ignored: the table in use is ci/budgets.toml" in elsewhere.stderr.str()
    assert f"so the baseline is read from ci/{LOCK} (no such file). " in elsewhere.stderr.str()


@pytest.mark.parametrize("exists", [True, False])
def test_the_lock_in_use_by_a_link(run: Run, pkg: Path, exists: bool) -> None:
    (pkg / LOCK).rename(pkg.parent / LOCK)
    (pkg / LOCK).symlink_to(f"../{LOCK}")
    if exists:
        run().stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])
    else:
        (pkg.parent / LOCK).unlink()
        assert run("--modelbudget-update").ret == pytest.ExitCode.OK
        assert (pkg.parent / LOCK).is_file()


def test_a_folder_of_links_is_one_folder(run: Run, pkg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pkg.parent / "link").symlink_to("pkg", target_is_directory=True)
    monkeypatch.chdir(pkg)
    for options in (["--rootdir=../link"], ["../link"], ["-c", "../link/pytest.ini"]):
        run(*options).stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])


def test_a_package_with_a_baseline_inside_another(run: Run, pkg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(pkg / LOCK, pkg.parent)
    monkeypatch.chdir(pkg)
    run().stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 22.00 K before*"])


def test_the_folder_of_the_lock_may_be_above_rootdir(run: Run, pkg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pkg / LOCK).rename(pkg.parent / LOCK)
    monkeypatch.chdir(pkg)
    refused(run(), f"../{LOCK}", f"{LOCK} (no such file)")


def test_a_lock_that_is_not_collected_is_not_asked(run: Run, pkg: Path) -> None:
    (pkg / "test_h.py").unlink()
    assert run(test_other="def test(): pass").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("option", ["--help", "--version", "--markers"])
def test_a_lock_that_would_be_ignored_leaves_the_help_alone(run: Run, pkg: Path, option: str) -> None:
    assert run(option, "--rootdir=.", "pkg").ret == pytest.ExitCode.OK


def test_looking_for_locks_imports_nothing(pytester: pytest.Pytester, pkg: Path) -> None:
    (pkg / LOCK).unlink()
    (pkg / "test_h.py").write_text(
        "import sys\ndef test(): assert not {'msgspec', 'pytest_modelbudget.session.files.lock_file'} & {*sys.modules}\n"
    )
    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.OK
