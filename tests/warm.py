"""Processes that have imported torch before: the suite starts hundreds of them, and each would take seconds.

They are forked from a server that has imported torch, NumPy and pytest, and done nothing else. The package and the
plugins of pytest are imported by each of them, as in a process of its own: whatever this module imported would be there
already. What a cold start does is tested in processes that are cold.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()
_PRELOADED = ["torch", "numpy", "pytest"]


def start(task: Callable[..., Any], *arguments: Any, descriptors: Mapping[int, int]) -> ForkServerProcess:
    """Run ``task`` in a warm process, in this folder and environment; ``descriptors``: its number, and ours."""
    given = {number: Connection(os.dup(ours)) for number, ours in descriptors.items()}
    process = server().Process(target=_run, args=(given, str(Path.cwd()), {**os.environ}, task, arguments), daemon=True)
    process.start()
    for one in given.values():
        one.close()
    return process


@functools.cache
def server() -> ForkServerContext:
    """Return what forks from the server, which starts with the first of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


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


def execute_line() -> None:
    """Do what ``python -u -c 'import sys;exec(eval(sys.stdin.readline()))'`` does, with which execnet starts a worker."""
    sys.argv = ["-c"]
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
