"""Asking for the page: the option of pytest, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.conftest import Run, imported, run
from pytest_modelbudget.cli.main import main
from pytest_modelbudget.reports.html import INSTALL
from pytest_modelbudget.results.store import write_report

from .samples import everything

__all__ = ["imported", "run"]

SUITE = """
import torch

def test_a(model_budget): model_budget(torch.nn.Linear(4, 2), torch.zeros(1, 4), name="head<b>", macs="1K")
"""


@pytest.mark.parametrize("mode", [[], pytest.param(["-n2"], marks=pytest.mark.slow)])
def test_the_option_writes_the_page(pytester: pytest.Pytester, run: Run, mode: list[str]) -> None:
    result = run(*mode, "--modelbudget-report=html", test_suite=SUITE)
    result.stdout.fnmatch_lines(["html report: modelbudget.html"])
    text = (pytester.path / "modelbudget.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<bdi>head&lt;b&gt;</bdi>" in text


def test_without_the_extra_it_is_refused_before_the_tests(pytester: pytest.Pytester, run_apart: Run) -> None:
    pytester.makepyfile("def test_a(): raise SystemExit('ran')")
    pytester.makeconftest("import pytest_modelbudget.reports.html as html\nhtml.find_spec = {}.get")
    result = run_apart("--modelbudget-report=html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--modelbudget-report=html: needs jinja2: {INSTALL}" in result.stderr.str()


def test_the_command_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "run.json"
    report.write_text(write_report(everything()), encoding="utf-8")
    assert main(["show", str(report), "--format=html"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    monkeypatch.setattr("pytest_modelbudget.reports.html.find_spec", lambda name: None)
    assert main(["show", str(report), "--format=html"]) == 2
    assert INSTALL in capsys.readouterr().err
