"""Processes that have imported torch before: the suite starts hundreds of them, and each would take seconds.

They are forked from a server that has imported what ``warmed.py`` says, and done nothing else. What a cold start does,
and what is imported when, is tested in processes that are cold.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # which Windows does not have
    from multiprocessing.context import ForkServerContext, ForkServerProcess

# Libraries of macOS start threads when they are imported, and may crash in a process that is forked then.
CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
_COVERAGE = "COVERAGE_PROCESS_CONFIG"
_INTERPRETER = (sys.prefix, sys.base_prefix)


def run_program(program: str, arguments: list[str], written: Path, errors: Path | None = None) -> int:
    """Run ``python -m program`` here, for ``pytest`` or ``pytest_modelbudget``; return its exit code.

    ``written`` gets what it writes, without its errors where they have a file of their own.
    """
    with written.open("wb") as output, (errors or Path(os.devnull)).open("wb") as other:
        stdout, stderr = output.fileno(), (other if errors else output).fileno()
        if not CAN_FORK:
            environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
            command = [sys.executable, "-m", program, *arguments]
            return subprocess.run(command, stdout=stdout, stderr=stderr, env=environment).returncode
        process = start(_be, program, arguments, descriptors={1: stdout, 2: stderr})
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def start(task: Callable[..., Any], *arguments: Any, descriptors: Mapping[int, int]) -> ForkServerProcess:
    """Run ``task`` in a warm process, in this folder and environment; ``descriptors``: its number, and ours."""
    given = {number: Connection(os.dup(ours)) for number, ours in descriptors.items()}
    place = str(Path.cwd()), {**os.environ}
    process = _server().Process(target=_run, args=(given, *place, task, arguments), daemon=True)
    process.start()
    for one in given.values():
        one.close()
    return process


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warmed"])
    before = {**os.environ}
    for name in before:  # what the test that comes first has set is for the programs, not for the server
        if name == _COVERAGE or name.startswith("PYTEST_"):
            del os.environ[name]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *_package()])
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


def _package() -> list[str]:
    """Return the folder that holds the package, found without importing it."""
    found = find_spec("pytest_modelbudget")
    return [str(Path(found.origin).parents[1])] if found and found.origin else []


def _run(
    descriptors: dict[int, Connection],
    folder: str,
    environment: dict[str, str],
    task: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    for number, descriptor in descriptors.items():
        os.dup2(descriptor.fileno(), number)
        descriptor.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww"))
    task(*arguments)


def _be(program: str, arguments: list[str]) -> None:
    if _COVERAGE in os.environ:
        import coverage

        coverage.process_startup()
    sys.argv = [program, *arguments]
    os.environ["PYTHONPATH"] = os.pathsep.join(_package())
    sys.path[:] = [str(Path.cwd()), *_package(), *(path for path in sys.path if path.startswith(_INTERPRETER))]
    if program == "pytest":
        import pytest

        sys.exit(pytest.console_main())
    from pytest_modelbudget.cli.main import main

    sys.exit(main(arguments))


def execute_line() -> None:
    """Do what ``python -u -c 'import sys;exec(eval(sys.stdin.readline()))'`` does, with which execnet starts a worker."""
    sys.argv = ["-c"]
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
