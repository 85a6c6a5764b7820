"""Models that the table declares: each is an item of pytest, and needs no test."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_modelbudget.results.store import read_report

from .conftest import EVERY_MODE, PLAIN_AND_N2, Run

NETS = """
class Task(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, width), nn.Linear(width, 4)
    def encode(self, x): return self.encoder(x)
    def forward(self, x): return self.decoder(self.encoder(x))

def needing(width): return Task(width)

def broken(): raise RuntimeError("no weights here")
existing = 3
"""
TABLE = """
[tool.modelbudget.models.task]
factory = "acme.nets:Task"
inputs = "3x4"
macs = 96

[tool.modelbudget.models.wide]
factory = "acme.nets:Task"
arguments = { width = 8 }
inputs = ["3x4"]
method = "encode"
macs = "90"
"""
FAULTY = """
[tool.modelbudget.models.raises]
factory = "acme.nets:broken"
params = 1
[tool.modelbudget.models.misspelled]
factory = "acme.nets:Tsk"
params = 1
[tool.modelbudget.models.nowhere]
factory = "acme.net:Task"
params = 1
[tool.modelbudget.models.no_factory]
factory = "acme.nets:existing"
params = 1
[tool.modelbudget.models.more_arguments]
factory = "acme.nets:Task"
arguments = { widht = 3 }
params = 1
[tool.modelbudget.models.no_arguments]
factory = "acme.nets:needing"
params = 1
[tool.modelbudget.models.no_inputs]
factory = "acme.nets:Task"
macs = 1
[tool.modelbudget.models.wrong_inputs]
factory = "acme.nets:Task"
inputs = "3x5"
macs = 1
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    (pytester.path / "acme").mkdir()
    (pytester.path / "acme" / "nets.py").write_text(f"from torch import nn\n{NETS}")
    return pytester.path


def outcomes(path: Path) -> dict[str, str]:
    cases = ElementTree.parse(path / "junit.xml").getroot().iter("testcase")
    return {case.get("name", ""): next((part.tag for part in case if part.tag != "properties"), "ok") for case in cases}


# 3 rows: encoder 3 * 4 * 4, decoder the same; of the wide one the encoder alone, 3 * 4 * 8.
@EVERY_MODE
def test_a_project_without_a_test_is_guarded(run: Run, project: Path, mode: list[str]) -> None:
    result = run(*mode, "--junitxml=junit.xml", "--modelbudget-report=json", pyproject=TABLE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    assert outcomes(project) == {"task": "ok", "wide": "failure"}
    result.stdout.fnmatch_lines(
        [
            '>   factory = "acme.nets:Task"',
            "E   BudgetExceeded: wide: macs 96 > 90 (+6.7%)",
            "pyproject.toml:7: Budget*",
        ]
    )
    stored = read_report((project / "modelbudget.json").read_text(), "x")
    assert stored.complete
    assert [(model.name, model.tests) for model in stored.models] == [
        ("task", ("pyproject.toml::task",)),
        ("wide", ("pyproject.toml::wide",)),
    ]
    assert "modelbudget.task.macs" in (project / "junit.xml").read_text()


@PLAIN_AND_N2
def test_what_is_wrong_with_a_declaration_fails_its_item(run: Run, project: Path, mode: list[str]) -> None:
    result = run(*mode, "--junitxml=junit.xml", pyproject=FAULTY)
    assert outcomes(project) == dict.fromkeys(
        (
            "raises",
            "misspelled",
            "nowhere",
            "no_factory",
            "more_arguments",
            "no_arguments",
            "no_inputs",
            "wrong_inputs",
        ),
        "failure",
    )
    text = result.stdout.str()
    for said in (
        "RuntimeError: no weights here",
        "raises is acme.nets:broken(), declared at pyproject.toml:2 [tool.modelbudget.models.raises]",
        "acme.nets:Tsk cannot be imported: acme.nets has no Tsk; did you mean Task?",
        "acme.net:Task cannot be imported: there is no module acme.net",
        "acme.nets:existing cannot be called",
        "unexpected keyword argument 'widht'",
        "more_arguments is acme.nets:Task(widht=3), declared at pyproject.toml:14",
        "or declare arguments = { width = ... }",
        'or declare inputs = "..."',
        "while measuring wrong_inputs with args[0] 3x5 float32",
    ):
        assert said in text
    assert "pluggy" not in text.partition("FAILURES")[2]
    assert "stale" not in text


def test_where_they_are_collected(run: Run, project: Path) -> None:
    def collected(*options: str) -> list[str]:
        result = run("--co", "-q", *options)
        return [line for line in result.outlines if "::" in line]

    both = ["pyproject.toml::task", "pyproject.toml::wide"]
    run(pyproject=TABLE, test_other="def test_other(): pass")
    assert collected() == [*both, "test_other.py::test_other"]
    assert collected("pyproject.toml") == both
    assert collected("pyproject.toml::wide") == both[1:]
    assert collected("test_other.py") == ["test_other.py::test_other"]
    assert collected("-k", "wide") == both[1:]
    assert collected("-m", "modelbudget") == both
    assert collected("-p", "no:modelbudget") == ["test_other.py::test_other"]


@PLAIN_AND_N2
def test_testpaths_do_not_hide_them(run: Run, project: Path, mode: list[str]) -> None:
    (project / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    result = run(*mode, "--modelbudget-report=json", pyproject=TABLE, tests__test_a="def test_a(): pass")
    result.assert_outcomes(passed=2, failed=1)
    assert read_report((project / "modelbudget.json").read_text(), "x").complete


def test_they_run_again_where_they_failed(run_apart: Run, project: Path) -> None:
    (project / "pyproject.toml").write_text(TABLE)
    run_apart()
    result = run_apart("--lf", "-x", "--durations=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*s call * pyproject.toml::wide", "FAILED pyproject.toml::wide - *"])


def test_a_model_without_a_limit_is_reported(run: Run, project: Path) -> None:
    table = '[tool.modelbudget.models.task]\nfactory = "acme.nets:Task"\n'
    result = run(pyproject=table)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["task *no budget"])


def test_a_package_below_src(run: Run, project: Path) -> None:
    (project / "src").mkdir()
    (project / "acme").rename(project / "src" / "acme")
    result = run(pyproject=TABLE)
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('factory = "acme.nets"', 'factory is "module:attribute", as in "acme.models:ResNet50", not '),
        ("factory = 3", 'factory is "module:attribute"'),
        ('inputs = "1x3"', "inputs needs a factory beside it"),
        ('factory = "a:b"\ninputs = "1y3"', "'1y3' is no size"),
        ('factory = "a:b"\ninputs = "1x{2,2}"', "a range has a size twice"),
        (
            'factory = "a:b"\ninputs = "1x2"\nscaling = { macs = "linear" }',
            "scaling needs inputs with a range of sizes",
        ),
        ('factory = "a:b"\nscaling = 3', "scaling is a table such as"),
        ('factory = "a:b"\ninputs = "1x{2,4}"\nscaling = { mac = 1 }', "scaling.mac is no metric; did you mean macs?"),
        ('factory = "a:b"\ninputs = "1x{2,4}"\nscaling = { macs = "steep" }', "growth with the inputs is constant,"),
        ("modules = 3", "modules is a table of modules, not 3"),
        ("modules = { head = { mac = 1 } }", "modules.head.mac is not a key of the plugin; did you mean macs?"),
        ('factory = "a:b"\nmethod = "a b"', "method is the name of a method"),
        ('factory = "a:b"\nbackward = 1', "backward is true or false, not 1"),
        ('factory = "a:b"\nbackward = true', "backward needs inputs"),
        ('factory = "a:b"\narguments = 3', "arguments is a table of keyword arguments"),
        ('factory = "a:b"\narguments = { since = 2020-01-01 }', "arguments.since holds strings"),
        ('factori = "a:b"', "factori is not a key of the plugin; did you mean factory?"),
    ],
)
def test_mistakes_in_a_declaration(run: Run, entry: str, says: str) -> None:
    result = run(pyproject=f"[tool.modelbudget.models.net]\n{entry}\n", test_a="def test_a(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


def test_a_pattern_declares_no_model(run: Run) -> None:
    result = run(pyproject='[tool.modelbudget.models."net*"]\nfactory = "a:b"\n', test_a="def test_a(): pass")
    assert "declares one model, and this entry is a pattern" in result.stderr.str()


SCALED = """
[tool.modelbudget.models.task]
factory = "acme.nets:Task"
inputs = "{2,4,8}x4"
macs = 256
scaling = { macs = 0.5, params = "constant" }
[tool.modelbudget.models.task.modules."*"]
macs = 100
"""


# A row costs 4 * 4 for each of encoder and decoder: 128 for each at 8 rows, and 256 together.
@PLAIN_AND_N2
def test_a_range_of_inputs_and_limits_for_parts(run: Run, project: Path, mode: list[str]) -> None:
    result = run(*mode, "--junitxml=junit.xml", pyproject=SCALED)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   BudgetExceeded: task (8x4): [*] x2 macs 128 > 100 (+28.0%)",
            "E   task: too steep: MACs grow as n^1.00, 0.5 allowed",
            "E     declared: pyproject.toml:2 *",
            "E       at 2: *64",
            "E       at 8: *256",
            "task (8x4) *OVER [*] x2 MACs 28.0%",
            "task (2x4) *64 / 256 *",
        ]
    )
    text = (project / "junit.xml").read_text()
    assert 'name="modelbudget.task[8x4][encoder].macs" value="128"' in text
