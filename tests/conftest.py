"""What every test of the plugin starts from: no CI around it, a screen of 80 columns, and no colours."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from warm import run_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["pytester"]

UNSET = ("BUILD_NUMBER", "CI", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "PYTEST_ADDOPTS", "TF_BUILD")

REQUIRED = "MODELBUDGET_BROWSER"
"""Set to ``required``, this makes a failure of a browser that is missing."""

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="run every conformance case in every way, and interrupt measurements at three times as many places",
    )


@pytest.fixture(scope="session", autouse=True)
def plain_surroundings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in [*os.environ]:
            if name in UNSET or name.startswith(("GITHUB_", "PYTEST_XDIST")):
                monkeypatch.delenv(name)
        # Without its cache, every run of pytest would rewrite the assertions of all plugins again.
        monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        monkeypatch.setenv("COLUMNS", "80")
        # Models this small only wait for a second thread.
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def run_apart(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Return what runs pytest as ``pytester.runpytest_subprocess`` does, in a process that has torch already."""

    def run(*options: str) -> pytest.RunResult:
        begin = time.perf_counter()
        written, errors = (pytester.path.with_name(f"{pytester.path.name}.{name}") for name in ("out", "err"))
        code = run_program("pytest", [f"--basetemp={pytester.path}.temporary", *options], written, errors)
        output, said = (path.read_text(encoding="utf-8").splitlines() for path in (written, errors))
        return pytest.RunResult(code, output, said, time.perf_counter() - begin)

    return run


# Not for the session: playwright's loop would be in the way of tests that run one of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        reason = "chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


LACKING = {
    "WinError 1314": "Windows lets only those make symbolic links who have the privilege",
    "NoQEngine": "this build of torch has no engine for quantized layers, as that for macOS",
}
"""What an error says where a machine lacks what a test needs, and what to say instead."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    try:
        return (yield)
    except Exception as error:
        for says, reason in LACKING.items():
            if says in str(error) and sys.platform != "linux":
                pytest.skip(reason)
        raise


def pytest_collection_finish() -> None:
    """Have no collection of garbage walk what was imported and collected: each would take half a second."""
    gc.collect()
    gc.freeze()


KNOWN = Path(__file__).parent / "known_failures.txt"
"""What is known to fail with an old torch: a line for each reason, then the tests, as many as it explains."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect what is known to fail where it does; a new failure is seen, and so is one that is gone."""
    reasons = dict(known_failures(KNOWN.read_text(encoding="utf-8")))
    for item in items:
        reason, run = reasons.get(item.nodeid.removeprefix("tests/"), ("", True))
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True, run=run))


def known_failures(text: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Yield the node ids below ``tests`` that are known to fail here, each with its reason and whether it is run.

    A heading ``# torch < 2.6: reason`` says where, for the lines that follow; ``# torch < 2.6, not run: reason`` keeps
    away from the machine what would take all its memory.
    """
    here = tuple(map(int, version("torch").split(".")[:2]))
    reason, run = "", True
    for line in text.splitlines():
        heading = re.fullmatch(r"# torch < (\d+)\.(\d+)(, not run)?: (.+)", line)
        if heading:
            reason = heading[4] if here < (int(heading[1]), int(heading[2])) else ""
            run = not heading[3]
        elif line and reason:
            yield line, (reason, run)
