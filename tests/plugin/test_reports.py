"""The reports of a run: JSON and Markdown on request, and what GitHub shows without being asked."""

from __future__ import annotations

import inspect
import json
import os
import stat
import sys
from datetime import datetime, timedelta, timezone
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_modelbudget import files
from pytest_modelbudget.hookspecs import pytest_modelbudget_report_formats
from pytest_modelbudget.results.store import read_report
from pytest_modelbudget.session.ending import report_files

from .conftest import PLAIN_AND_N2, Run

SUITE = """
def test_fine(model_budget): model_budget(Net(), X, name="fine", macs="22K")
def test_over(model_budget): model_budget(Net(), X, name="over|<b>", macs="21K")
@pytest.mark.xfail
def test_expected(model_budget): model_budget(Head(), name="expected", params=21)
"""


@PLAIN_AND_N2
def test_json_holds_everything(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    run(*mode, "--modelbudget-report=json:out/deep/run.json", test_suite=SUITE)
    text = (pytester.path / "out" / "deep" / "run.json").read_text()
    found = read_report(text, "run.json")
    assert [(model.name, model.excused, len(model.verdict.errors)) for model in found.models] == [
        ("expected", True, 1),
        ("fine", False, 0),
        ("over|<b>", False, 1),
    ]
    assert found.models[1].measurement.macs == 22000
    assert found.complete
    assert found.about.project == pytester.path.name
    assert datetime.now(timezone.utc) - datetime.fromisoformat(found.about.time.replace("Z", "+00:00")) < timedelta(
        hours=1
    )
    assert found.about.torch == metadata.version("torch")
    assert json.loads(text)["schema"] == 2
    assert [path.name for path in (pytester.path / "out" / "deep").iterdir()] == ["run.json"]


def test_json_says_of_which_commit_it_is(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "0123abc")
    (pytester.path / "pyproject.toml").write_text('[project]\nname = "house"\n', encoding="utf-8")
    run("--modelbudget-report=json", test_suite=SUITE)
    about = read_report((pytester.path / "modelbudget.json").read_text(), "modelbudget.json").about
    assert (about.project, about.commit) == ("house", "0123abc")


@PLAIN_AND_N2
def test_reports_need_no_screen(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    result = run(*mode, "-p", "no:terminal", "--modelbudget-report=json", test_suite=SUITE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    found = read_report((pytester.path / "modelbudget.json").read_text(), "modelbudget.json")
    assert [model.name for model in found.models] == ["expected", "fine", "over|<b>"]


def test_the_default_files(run: Run, pytester: pytest.Pytester) -> None:
    result = run("--modelbudget-report=json", "--modelbudget-report=markdown", test_suite=SUITE)
    result.stdout.fnmatch_lines(["json report: modelbudget.json", "markdown report: modelbudget.md"])
    assert (pytester.path / "modelbudget.json").exists()
    text = (pytester.path / "modelbudget.md").read_text(encoding="utf-8")
    assert text.startswith("## Model budgets: 1 of 3 models fails\n")
    assert "|**over\\|&lt;b&gt;** 1x100|MACs||22.00\N{NO-BREAK SPACE}K||21\N{NO-BREAK SPACE}K|**over by 4.8%**|" in text
    assert "\n|fine|" in text.partition("<summary>1 other model</summary>")[2]


@pytest.mark.parametrize(
    ("asked_for", "says"),
    [
        ("jsn", "no such type of report; did you mean json?"),
        ("pdf", "no such type of report; there are json, markdown, html, csv, metrics, codequality, benchmark, bmf"),
        ("json:folder", "cannot be written; name a file, json:FILE"),
        ("json:file.txt/x.json", "cannot be written; name a file, json:FILE"),
        pytest.param(
            "json:/proc/nowhere/x.json",
            "cannot be written; name a file, json:FILE",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="a folder like any other there"),
        ),
    ],
)
@PLAIN_AND_N2
def test_what_cannot_be_written_is_refused_before_the_tests(
    run: Run, pytester: pytest.Pytester, mode: list[str], asked_for: str, says: str
) -> None:
    (pytester.path / "folder").mkdir()
    (pytester.path / "file.txt").touch()
    result = run(*mode, f"--modelbudget-report={asked_for}", test_suite="def test_a(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--modelbudget-report=json:pyproject.toml"], "pyproject.toml is the table; name another file, json:FILE"),
        (["--modelbudget-report=json:link.toml"], "link.toml is the table"),
        (["--modelbudget-report=json:modelbudget.lock.json"], "modelbudget.lock.json is the baseline"),
        (["--modelbudget-report=json:junit.xml", "--junitxml=junit.xml"], "junit.xml is the JUnit file"),
        (["--modelbudget-report=json:a", "--modelbudget-report=csv:./a"], "a is that of the json report"),
        (["--modelbudget-report=json:read_only.json"], "read_only.json cannot be written"),
    ],
)
def test_a_file_of_the_run_is_no_place_for_a_report(
    run: Run, pytester: pytest.Pytester, options: list[str], says: str
) -> None:
    table = "[tool.modelbudget]\n"
    (pytester.path / "pyproject.toml").touch()
    if "link" in options[0]:
        (pytester.path / "link.toml").symlink_to(pytester.path / "pyproject.toml")
    (pytester.path / "read_only.json").touch()
    (pytester.path / "read_only.json").chmod(0o444)
    result = run(*options, test_suite=SUITE, pyproject=table)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()
    assert (pytester.path / "pyproject.toml").read_text() == table


@PLAIN_AND_N2
def test_a_device_gets_the_report_and_stays_one(run: Run, mode: list[str]) -> None:
    result = run(*mode, f"--modelbudget-report=json:{os.devnull}", test_suite=SUITE)
    result.stdout.fnmatch_lines(["json report: *nul*"])
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@PLAIN_AND_N2
def test_a_run_that_crashes_leaves_no_report_of_an_earlier_one(
    run: Run, run_apart: Run, pytester: pytest.Pytester, mode: list[str]
) -> None:
    report = pytester.path / "modelbudget.json"
    for option in ("--collect-only", "--help", "--version", "--markers", "--fixtures"):
        report.write_text("of an earlier run")
        run(*mode, option, "--modelbudget-report=json", test_suite=SUITE)
        assert report.read_text() == "of an earlier run", option
    run(*mode, "--modelbudget-report=json", test_suite=SUITE, pyproject="[tool.modelbudget]\nbaselin = 3\n")
    assert report.read_text() == "of an earlier run"
    (pytester.path / "pyproject.toml").unlink()
    pytester.makeconftest("import os\ndef pytest_runtest_setup(item): os._exit(3)")
    run_apart("-p", "no:xdist", "--modelbudget-report=json")
    assert not report.exists()
    pytester.makeconftest("def pytest_sessionstart(): raise KeyError('broken')")
    for option, is_left in (("--fixtures", True), ("--collect-only", True), ("-v", False)):
        report.write_text("of an earlier run")
        run(*mode, option, "--modelbudget-report=json")
        assert report.exists() is is_left, option


def full(path: Path, text: str) -> None:
    if path.name == "modelbudget.csv":
        raise OSError(28, "No space left on device")
    files.write_whole(path, text)


@PLAIN_AND_N2
def test_a_report_that_cannot_be_written_at_the_end_is_an_error_of_its_own(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    monkeypatch.setattr(report_files, "write_whole", full)
    asked_for = [f"--modelbudget-report={kind}" for kind in ("csv", "json")]
    result = run(*mode, *asked_for, test_suite='def test_fine(model_budget): model_budget(Net(), X, macs="22K")')
    result.stdout.fnmatch_lines(
        ["Net *ok*", "csv report: modelbudget.csv could not be written: *No space left*", "json report: *.json"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (pytester.path / "modelbudget.json").exists()


@PLAIN_AND_N2
def test_a_type_of_ones_own(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    documented = inspect.getdoc(pytest_modelbudget_report_formats) or ""
    example = dedent(documented[documented.index("    def") :].partition("\n\n")[0])
    pytester.makeconftest(example)
    result = run(*mode, "--modelbudget-report=names", test_suite=SUITE)
    result.stdout.fnmatch_lines(["names report: names.txt"])
    assert (pytester.path / "names.txt").read_text() == "expected\nfine\nover|<b>\n"


def test_a_type_that_there_is_already_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_modelbudget_report_formats(): return {'json': ('x.txt', str)}")
    result = run("--modelbudget-report=json", test_suite=SUITE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "pytest_modelbudget_report_formats: there is a type json already" in result.stderr.str()


def test_a_summary_that_github_does_not_take_fails_nothing(
    run: Run, pytester: pytest.Pytester, github: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path))
    result = run(test_suite='def test_fine(model_budget): model_budget(Net(), X, macs="22K")')
    result.stdout.fnmatch_lines(["Net *ok*", "GITHUB_STEP_SUMMARY could not be written: *"])
    assert result.ret == pytest.ExitCode.OK


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Path:
    summary = pytester.path / "summary.md"
    summary.write_text("from another step\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    return summary


@PLAIN_AND_N2
def test_github_needs_no_configuration(run: Run, pytester: pytest.Pytester, github: Path, mode: list[str]) -> None:
    table = '[tool.modelbudget.models.listed]\nmacs = "1K"\n'
    result = run(
        *mode, test_suite=SUITE + 'def test_l(model_budget): model_budget(Net(), X, name="listed")\n', pyproject=table
    )
    text = github.read_text()
    assert text.startswith("from another step\n## Model budgets: 2 of 4 models fail\n")
    errors = [line for line in result.outlines if line.startswith("::error ")]
    folder = pytester.path.name
    assert errors == [
        f"::error file={folder}/pyproject.toml,line=2,title=listed::OVER MACs 2,100.0%25%0AMACs 22.00 K / 1 K",
        f"::error file={folder}/test_suite.py,line=3,title=over|<b>::OVER MACs 4.8%25%0AMACs 22.00 K / 21 K",
    ]


def test_github_can_be_turned_off(run: Run, github: Path) -> None:
    result = run("--modelbudget-github=off", test_suite=SUITE)
    assert github.read_text() == "from another step\n"
    result.stdout.no_fnmatch_line("::error*")


def test_github_is_told_nothing_where_nothing_was_measured(run: Run, github: Path) -> None:
    run(test_suite="def test_a(): pass")
    assert github.read_text() == "from another step\n"


def test_ten_annotations_at_most(run: Run, github: Path) -> None:
    many = "\n".join(f'def test_{n}(model_budget): model_budget(Head(), name="m{n}", params=1)' for n in range(25))
    result = run(test_suite=many)
    errors = [line for line in result.outlines if line.startswith("::error ")]
    assert len(errors) == 10
    assert errors[-1].endswith("::+ 16 more")


def test_growth_says_why(run: Run, github: Path) -> None:
    net = 'def test_net(model_budget): model_budget(Net({}), X, name="net")\n'
    run("--modelbudget-update", test_net=net.format(200))
    result = run(test_net=net.format(220))
    why = "first Linear (+2020 params, +2000 MACs)"
    assert f"- **net**: {why}; last Linear (+200 params, +200 MACs)" in github.read_text()
    result.stdout.fnmatch_lines([f"::error *GREW MACs 10.0%25, params 10.0%25%0A*22.00 K before*%0A{why}%0A*"])
