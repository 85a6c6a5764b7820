"""Say on the screen what a measurement is doing if it takes long. Only under ``-v``, and not in a worker of xdist."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from pytest_modelbudget.session.pytest_private import without_capture

PATIENCE = 1.0
"""Seconds that a measurement may take without a word."""


@contextmanager
def narrated(config: pytest.Config) -> Iterator[None]:
    """Say what the measurement inside is doing, if it takes longer than a second and the user wants to know."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None or config.get_verbosity() <= 0:
        yield
        return
    from pytest_modelbudget.counting.progress import listening

    began, steps, uncaptured = monotonic(), list[str](), without_capture(config)

    def say() -> None:
        with uncaptured():
            terminal.write_ensure_prefix(f"  measuring: {steps[-1]}")

    def note(step: str) -> None:
        steps.append(step)
        if monotonic() - began > PATIENCE:
            say()

    timer = threading.Timer(PATIENCE, lambda: say() if steps else None)
    timer.daemon = True
    timer.start()
    try:
        with listening(note):
            yield
    finally:
        timer.cancel()
        timer.join()
