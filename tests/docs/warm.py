"""Run commands in processes that have imported torch before: a page has dozens of them, and each would take seconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

# The package itself is imported by each command: pytest rewrites the assertions of its plugins at their import.


def run_warm(program: str, arguments: list[str], folder: Path, written: Path, package: Path) -> int:
    """Run ``pytest`` or ``modelbudget`` in ``folder``, let it write to the file ``written``; return its exit code.

    ``package`` is the folder that holds the plugin.
    """
    process = _context().Process(target=_run, args=(program, arguments, folder, written, str(package)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _context() -> ForkServerContext | SpawnContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "numpy"])
    return context


def _run(program: str, arguments: list[str], folder: Path, written: Path, package: str) -> None:
    """Become ``program``: its path of imports, its folder and its output are those of a command of its own."""
    os.chdir(folder)
    os.environ.update(COLUMNS="80", PYTHONPATH=package, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    sys.argv = [program, *arguments]
    sys.path[:] = [package, *(path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix)))]
    file = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if program == "modelbudget":
        from pytest_modelbudget.cli.main import main

        sys.exit(main(arguments))
    import pytest

    sys.exit(pytest.console_main())
