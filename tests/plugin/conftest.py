"""A throw-away project with a few small models, and one way to run pytest in it."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

import pytest_modelbudget
from warm_workers import warm_workers

# Runs in this process drop every module that they import, and the next would import the whole package again.
for _module in pkgutil.walk_packages(pytest_modelbudget.__path__, "pytest_modelbudget."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

# A project of its own, run in a copy: its hooks must not meet the tests of ours.
collect_ignore = ["behaviours"]

MODELS = Path(__file__).parent / "behaviours" / "models.py"
Run = Callable[..., pytest.RunResult]
WITHOUT = [f"-pno:{plugin}" for plugin in ("cacheprovider", "unraisableexception", "hypothesispytest", "anyio")]
"""Plugins that cost time and change nothing: at the end of a run, unraisableexception collects garbage five times."""
PLAIN, N0, N2 = (
    pytest.param([], id="plain"),
    pytest.param(["-n0"], id="n0", marks=pytest.mark.slow),
    pytest.param(["-n2"], id="n2", marks=pytest.mark.slow),
)
PLAIN_AND_N2 = pytest.mark.parametrize("mode", [PLAIN, N2])
EVERY_MODE = pytest.mark.parametrize("mode", [PLAIN, N0, N2])


def with_workers(cases: Iterable[str], *selected: str) -> list[Any]:
    """Return parameters, mode and case, that run every case in one process, and those selected with workers too."""
    plain = [pytest.param([], case, id=case) for case in cases]
    return plain + [pytest.param(["-n2"], case, id=f"{case}-n2", marks=pytest.mark.slow) for case in selected]


class Imported:
    """What tests have imported of torch: some of its modules register operators, which works once in a process."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}

    def pytest_unconfigure(self) -> None:
        """Note what there is at the end of a run, after which pytester forgets it."""
        found = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("torch", "sympy")}
        self.modules.update(found)


@pytest.fixture(autouse=True)
def imported() -> Iterator[Imported]:
    """Have torch stay imported, after pytester has put back the modules that there were."""
    kept = Imported()
    yield kept
    sys.modules.update(kept.modules)


@pytest.fixture
def run(imported: Imported, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Write the given files, and run pytest: in this process, with workers that are forked from one with torch."""
    shutil.copy(MODELS, pytester.path)
    (pytester.path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    def run(*options: str, **files: str) -> pytest.RunResult:
        for name, text in files.items():
            path = pytester.path / name.replace("__", "/")
            path = path.with_suffix(".toml" if name.endswith("pyproject") else ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            head = "" if path.suffix == ".toml" else "import pytest; from models import *\n"
            path.write_text(head + dedent(text).lstrip("\n"), encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(Path.cwd())  # as `python -m pytest` does
            with warm_workers():
                result = pytester.runpytest_inprocess(*WITHOUT, *options, plugins=[imported])
                sys.modules.update(imported.modules)
                return result

    return run
