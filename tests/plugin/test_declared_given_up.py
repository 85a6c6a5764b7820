"""Declared models whose factory gives up, or is another than the one beside the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import PLAIN_AND_N2, Run

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear({size}, {size})
    def forward(self, x): return self.layer(x)
"""
GIVING_UP = """
import unittest
import pytest

def skips(): pytest.importorskip("nope")
def xfails(): pytest.xfail("no time")
def skips_unittest(): raise unittest.SkipTest("no GPU")
def stops(): pytest.exit("enough", returncode=7)
"""


def declared(**factories: str) -> str:
    return "".join(f'[tool.modelbudget.models.{name}]\nfactory = "{one}"\n' for name, one in factories.items())


@PLAIN_AND_N2
def test_a_factory_that_gives_up_fails(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    (pytester.path / "acme.py").write_text(GIVING_UP)
    (pytester.path / "bare.py").write_text('import pytest\npytest.importorskip("nope")\n')
    table = declared(skipped="acme:skips", expected="acme:xfails", old="acme:skips_unittest", module="bare:Net")
    result = run(*mode, pyproject=table)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines_random(
        [
            "E   BudgetError: skipped was not measured: the code of acme:skips called skip: could not import 'nope'*",
            "E   BudgetError: expected was not measured: the code of acme:xfails called xfail: no time",
            "E   BudgetError: old was not measured: the code of acme:skips_unittest called skip: no GPU",
            "E   BudgetError: module was not measured: the code of bare:Net called skip: could not import 'nope'*",
            "E   skipped is acme:skips(), declared at pyproject.toml:2 [[]tool.modelbudget.models.skipped]",
            "FAILED pyproject.toml::skipped - BudgetError: skipped was not measured*",
        ]
    )
    assert "swallowed" not in result.stdout.str()


def test_a_factory_that_stops_the_run_stops_it(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "acme.py").write_text(GIVING_UP)
    result = run(pyproject=declared(net="acme:stops"))
    assert result.ret == 7


@PLAIN_AND_N2
def test_another_module_of_that_name_is_refused(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    (pytester.path / "tests").mkdir()
    (pytester.path / "zoo.py").write_text(NET.format(size=100))
    (pytester.path / "tests" / "zoo.py").write_text(NET.format(size=2))
    result = run(*mode, pyproject=declared(net="zoo:Net"), tests__test_ok="import zoo\ndef test(): pass")
    result.assert_outcomes(passed=1, failed=1)
    files = [Path(pytester.path, "zoo.py"), Path(pytester.path, "tests", "zoo.py")]
    result.stdout.fnmatch_lines([f"E   BudgetError: zoo:Net is ambiguous: *{files[0]}*{files[1]}*"])


@PLAIN_AND_N2
def test_a_module_that_the_tests_import_too_is_measured(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    (pytester.path / "zoo.py").write_text(NET.format(size=100))
    result = run(*mode, pyproject=declared(net="zoo:Net"), test_ok="import zoo\ndef test(): pass")
    result.assert_outcomes(passed=2)
