"""Every behaviour of a test under a budget: plain, with ``-n0`` and with ``-n2``."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest

from .behaviours import BEHAVIOURS, TABLE
from .conftest import MODELS
from .junit import cases_of, outcome

MODES = {"plain": [], "n0": ["-n0"], "n2": ["-n2"]}


@pytest.fixture(scope="module", params=MODES)
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ElementTree.Element]:
    """Run all behaviours at once, and return their testcases by name. Workers of our own suite share the runs."""
    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        shared = shared.parent
    folder = shared / f"behaviours-{request.param}"
    try:
        folder.mkdir()
    except FileExistsError:
        _wait_for(folder / "done")
    else:
        _run_all(folder, MODES[request.param])
    return _by_module(folder / "junit.xml")


def _run_all(folder: Path, options: list[str]) -> None:
    (folder / "models.py").write_text(MODELS)
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-p no:cacheprovider"\n' + TABLE)
    for name, behaviour in BEHAVIOURS.items():
        (folder / f"test_{name}.py").write_text("from models import *\n" + dedent(behaviour.source))
    command = [sys.executable, "-m", "pytest", "--junitxml=junit.xml", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    (folder / "done").write_text(done.stdout + done.stderr)
    assert done.returncode == 1, done.stdout + done.stderr


def _wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.1)
    raise TimeoutError(path)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_behaviour(cases: dict[str, ElementTree.Element], name: str) -> None:
    expected, case = BEHAVIOURS[name], cases[f"test_{name}"]
    report = "".join(case.itertext()) + "".join(part.get("message", "") for part in case)
    assert (outcome(case), expected.says in report) == (expected.outcome, True), report


def _by_module(junit: Path) -> dict[str, ElementTree.Element]:
    """Return one testcase per module; where a test failed twice, pytest writes an error of its own for teardown."""
    return {name.partition("::")[0].partition(".")[0]: case for name, case in cases_of(junit).items()}
