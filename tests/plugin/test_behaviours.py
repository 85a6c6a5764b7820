"""Every behaviour of a test under a budget: plain, with ``-n0`` and with ``-n2``.

The cases are the tests in ``behaviours/``, a project of its own. To add one, write it into the file of its topic, under
a comment with the outcome (passed, failed, error, skipped, xfailed) and what the report must say:

    # expect failed: Net: macs 22.00 K > 21.9 K (+0.5%)
    # and: modelbudget.Net.macs = 22000
    @pytest.mark.budget(macs="21.9K")
    def test_an_excess_under_an_observing_mark_fails():
        Net()(X)

That can be a property of the JUnit file too, ``no modelbudget.Net.macs.limit``, ``no properties``, or ``not`` and what
it must not say. Nothing is to be registered anywhere; ``UPDATE_FAULTS=1`` writes the page ``tests/faults/README.md`` anew.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from warm import run_program

from .expectations import Expectation, read_expectations
from .junit import outcome

PROJECT = Path(__file__).parent / "behaviours"
EXPECTATIONS = tuple(read_expectations(PROJECT))
MODES = {"plain": [], "n0": ["-n0"], "n2": ["-n2"]}
PARAMS = [pytest.param(mode, marks=[pytest.mark.slow] if MODES[mode] else []) for mode in MODES]


class Inner(NamedTuple):
    """A run of all cases: its exit code, its screen, and the testcases of its JUnit file."""

    code: int
    screen: str
    cases: tuple[ElementTree.Element, ...]

    def case(self, expected: Expectation) -> ElementTree.Element:
        """Return the testcase; where a test failed twice, pytest writes one more for the teardown, and that counts."""
        found = [case for case in self.cases if expected.is_of(case)]
        assert found, f"{expected.place} did not run:\n{self.screen}"
        return found[-1]


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the workers of our own suite share the runs."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="module", params=PARAMS)
def inner(request: pytest.FixtureRequest, shared: Path) -> Inner:
    return run_once(shared, request.param)


def run_once(shared: Path, mode: str) -> Inner:
    """Run all cases in a copy of their project, or wait for the worker that does."""
    folder = shared / f"behaviours-{mode}"
    try:
        folder.mkdir()
    except FileExistsError:
        wait_for(folder / "done")
    else:
        run_pytest(folder, PROJECT, MODES[mode])
    return read(folder)


def run_pytest(folder: Path, project: Path, options: list[str]) -> None:
    copy = folder / "behaviours"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        options = ["--continue-on-collection-errors", "--junitxml=../junit.xml", *options]
        code = run_program("pytest", options, folder / "screen")
    (folder / "code").write_text(str(code))
    (folder / "done").touch()


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.1)
    raise TimeoutError(path)


def read(folder: Path) -> Inner:
    screen = (folder / "screen").read_text(encoding="utf-8")
    assert (folder / "junit.xml").exists(), screen
    cases = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")
    return Inner(int((folder / "code").read_text()), screen, tuple(cases))


@pytest.mark.parametrize("expected", EXPECTATIONS, ids=[one.name.removeprefix("test_") for one in EXPECTATIONS])
def test_behaviour(inner: Inner, expected: Expectation) -> None:
    case = inner.case(expected)
    unmet = expected.unmet(case)
    assert not unmet, "\n".join([f"behaviours/{expected.place} expects {unmet}", ElementTree.tostring(case, "unicode")])


def test_the_run_as_a_whole(inner: Inner) -> None:
    assert inner.code == pytest.ExitCode.TESTS_FAILED, inner.screen
    others = [case for case in inner.cases if not any(expected.is_of(case) for expected in EXPECTATIONS)]
    assert others == [], inner.screen


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["n0", "n2"])
def test_workers_change_neither_outcomes_nor_properties(shared: Path, mode: str) -> None:
    plain, spread = run_once(shared, "plain"), run_once(shared, mode)
    for expected in EXPECTATIONS:
        cases = plain.case(expected), spread.case(expected)
        one, other = ((outcome(case), [dict(part.attrib) for part in case.iter("property")]) for case in cases)
        assert one == other, expected.place


@pytest.mark.parametrize("mode", PARAMS)
def test_a_case_that_cannot_be_collected_fails_alone(tmp_path: Path, mode: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "broken.py").write_text("# expect passed: no properties\ndef test_broken() return\n")
    (project / "fine.py").write_text("# expect passed: no properties\ndef test_fine(): pass\ndef test_bare(): pass\n")
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\npython_files = ["*.py"]\n')
    run_pytest(tmp_path, project, MODES[mode])
    inner = read(tmp_path)
    broken, fine, bare = read_expectations(project)
    assert fine.unmet(inner.case(fine)) == []
    assert bare.unmet(inner.case(bare)) == ["a comment that expects something, not passed"]
    with pytest.raises(AssertionError, match=r"broken\.py:2 did not run:\n[^$]*SyntaxError"):
        inner.case(broken)
