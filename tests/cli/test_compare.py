"""``modelbudget compare``: two lock files or reports side by side."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.budgets import Budget, judge
from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results import Result, Run, TestResult, gather
from pytest_modelbudget.results.baseline import Lock, updated, write_lock
from pytest_modelbudget.results.store import write_report


def net(width: int, name: str = "net") -> Measurement:
    return measure(lambda: nn.Sequential(nn.Linear(8, width), nn.Linear(width, 8)), input_size=(1, 8), name=name)


def lock(path: Path, *measured: Measurement) -> str:
    path.write_text(write_lock(updated(Lock(), measured)), encoding="utf-8")
    return str(path)


def report(path: Path, *measured: Measurement) -> str:
    results = tuple(Result.of(judge(one, Budget()), one) for one in measured)
    path.write_text(write_report(gather({"test": TestResult(results)})), encoding="utf-8")
    return str(path)


@pytest.fixture
def base(tmp_path: Path) -> str:
    return lock(tmp_path / "base.json", net(4), net(4, "gone"), net(9, "less"), net(3, "same"))


@pytest.fixture
def head(tmp_path: Path) -> str:
    return report(tmp_path / "head.json", net(6), net(4, "fresh"), net(8, "less"), net(3, "same"))


def test_a_lock_file_against_a_report(base: str, head: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", base, head]) == 1
    shown = capsys.readouterr().out
    # Linear(8, w) and Linear(w, 8) are 17w + 8 params and 16w MACs
    assert [(line.split()[0], line.split()[-1]) for line in shown.splitlines()[:5]] == [
        ("model", "status"),
        ("net", "grown"),
        ("fresh", "added"),
        ("gone", "removed"),
        ("less", "shrunk"),
    ]
    assert "76 -> 110 (+44.7%)" in shown
    assert "  * Linear x2 (+34 params, +32 MACs)" in shown
    assert shown.endswith("1 model unchanged\n")


def test_growth_that_is_allowed(base: str, head: str) -> None:
    assert main(["compare", base, head, "--growth", "50%"]) == 0


def test_the_same_is_no_growth(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", base, base]) == 0
    assert capsys.readouterr().out == "4 models unchanged\n"


def test_markdown_and_json(base: str, head: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", base, head, "--format", "markdown"]) == 1
    assert capsys.readouterr().out.startswith("## 1 model grew\n\n|model|")
    assert main(["compare", base, head, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["kind"] for one in found["models"]} == {
        "net": "grown",
        "fresh": "added",
        "gone": "removed",
        "less": "shrunk",
        "same": "same",
    }
    (macs,) = [one for one in found["models"][0]["differences"] if one["metric"] == "macs"]
    assert macs["after"] - macs["before"] == sum(change["amount"] for change in macs["changes"]) == 32


def test_standard_input(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(base).read_bytes()), encoding="ascii"))
    assert main(["compare", "-", base]) == 0


def test_a_revision_of_the_repository(tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (
        ["init", "-q"],
        ["add", "base.json"],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    lock(tmp_path / "base.json", net(5))
    assert main(["compare", "git:HEAD:base.json", "base.json"]) == 1
    assert main(["compare", "git:HEAD:nowhere.json", "base.json"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compare", "nowhere.json", "nowhere.json"],
        ["compare", "-", "-"],
        ["compare", "git:HEAD", "x"],
        ["compare", "git:--all:x", "x"],
        ["compare", "x", "y", "--growth", "1"],
        ["compare", "x", "y", "--format", "pdf"],
        ["merge"],
        ["merge", "nowhere.json"],
        ["show", "nowhere.json"],
        ["show", "x", "--format", "pdf"],
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code  # type: ignore[assignment]
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("modelbudget: ")
    assert error.count("\n") == 1


def test_a_file_that_is_neither(tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text('{"schema": 9, "run": {}}')
    assert main(["compare", base, str(tmp_path / "x.json")]) == 2
    assert "has schema 9" in capsys.readouterr().err
    (tmp_path / "x.json").write_text('{"run": ' + "[" * 100_000)
    assert main(["compare", base, str(tmp_path / "x.json")]) == 2
    assert f"{tmp_path / 'x.json'}: is " in capsys.readouterr().err


def test_the_command_imports_no_torch(base: str) -> None:
    code = f"import sys; from pytest_modelbudget.cli.main import main; main(['compare', {base!r}, {base!r}]); "
    code += "print(sorted({'torch', 'pytest', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_python_m_is_the_same_command(base: str) -> None:
    command = [sys.executable, "-m", "pytest_modelbudget", "compare", base, base]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "4 models unchanged\n"


def against_base(base: str, run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what Markdown says of a run and a base, in one line."""
    (folder / "run.json").write_text(write_report(run))
    assert (
        main(["show", str(folder / "run.json"), "--format", "markdown", "--base", base, "--between", "a with `b`"]) == 0
    )
    return next(line for line in capsys.readouterr().out.splitlines() if "Comparing" in line)


def test_only_a_run_that_shows_all_says_what_is_gone(
    tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    of_test = TestResult((Result.of(judge(net(9, "less"), Budget()), net(9, "less")),))
    whole = gather({"test": of_test})
    said = "**Gone:** gone, net, same. Comparing a with \\`b\\`."
    assert against_base(base, whole, tmp_path, capsys) == said
    part = structs.replace(whole, incomplete=("deselected",))
    assert against_base(base, part, tmp_path, capsys) == "Nothing changed. Comparing a with \\`b\\`."
    broken = gather({"test": of_test, "other": TestResult()}, failed={"other": "RuntimeError: no such file"})
    assert against_base(base, broken, tmp_path, capsys) == "Nothing changed. Comparing a with \\`b\\`."


def test_a_model_without_a_name_of_its_own_is_not_new_in_every_pull_request(
    tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        net(4),
        net(4, "gone"),
        net(9, "less"),
        net(3, "same"),
        net(5, "New"),
        structs.replace(net(5, "Net"), named=False),
    ]
    run = gather({"test": TestResult(tuple(Result.of(judge(one, Budget()), one) for one in found))})
    assert against_base(base, run, tmp_path, capsys) == "**New:** New. Comparing a with \\`b\\`."
