"""Run a function in a process of its own: a crash, a hang or a patched torch ends with it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def isolated(f: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return what ``f`` returns, or ``{"error": ...}`` where it dies or takes too long."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(f, sender), daemon=True)
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(seconds) else {"error": f"no answer in {seconds:g} s"}
    except EOFError:
        process.join()
        return {"error": f"the process died with exit code {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _answer(f: Callable[[], dict[str, Any]], sender: Connection) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sender.send(f())
    sender.close()
