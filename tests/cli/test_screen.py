"""Colours of ``modelbudget show`` and ``compare``: on a terminal alone, and as pytest would."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from _pytest._io.terminalwriter import should_do_markup

from pytest_modelbudget import Measurement
from pytest_modelbudget.budgets import Budget, Limit, Place, judge
from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results import Result, TestResult, gather
from pytest_modelbudget.results.store import write_report

from .test_compare import lock, net


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"FORCE_COLOR": "1"},
        {"FORCE_COLOR": ""},
        {"FORCE_COLOR": "1", "NO_COLOR": "1"},
        {"NO_COLOR": "1", "PY_COLORS": "1"},
        {"FORCE_COLOR": "1", "PY_COLORS": "0"},
        {"TERM": "dumb"},
    ],
)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_it_colours_where_pytest_does(
    variables: dict[str, str],
    is_terminal: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    arguments = ["compare", lock(tmp_path / "a.json", net(4)), lock(tmp_path / "b.json", net(6))]
    main(arguments)
    assert ("\033[31mgrown\033[0m\n" in capsys.readouterr().out) == should_do_markup(sys.stdout)
    for kind in ("markdown", "json", "count"):
        main([*arguments, "--format", kind])
        assert "\033" not in capsys.readouterr().out


def test_the_console_of_windows_is_told_to_show_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    colorama = SimpleNamespace(just_fix_windows_console=lambda: told.append(True))
    monkeypatch.setitem(sys.modules, "colorama", colorama)
    monkeypatch.setattr("pytest_modelbudget.cli.screen.sys.platform", "win32")
    path = lock(tmp_path / "a.json", net(4))
    for colours in ("0", "1"):
        monkeypatch.setenv("PY_COLORS", colours)
        main(["compare", path, path])
    assert told == [True]


def test_show_has_the_colours_of_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(one: Measurement, limit: int) -> Result:
        return Result.of(judge(one, Budget(limits={"params": Limit(limit, str(limit), Place("here"))})), one)

    found = TestResult((judged(net(4), 76), judged(net(4, "large"), 75)))
    (tmp_path / "run.json").write_text(write_report(gather({"test": found})))
    monkeypatch.setenv("PY_COLORS", "1")
    main(["show", str(tmp_path / "run.json")])
    shown = capsys.readouterr().out
    assert "\033[31mOVER params 1.3%\033[0m\n" in shown
    assert "\033[32mok, at the limit (params)\033[0m\n" in shown
