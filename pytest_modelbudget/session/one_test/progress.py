"""Say on the screen what a measurement is doing if it takes long. Only under ``-v``, and not in a worker of xdist."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_modelbudget.session.pytest_private import without_capture

PATIENCE = 1.0
"""Seconds that a measurement may take without a word."""


class Narrator:
    """Writes what a measurement is doing, once it has taken long."""

    def __init__(self, config: pytest.Config, terminal: pytest.TerminalReporter) -> None:
        self._uncaptured = without_capture(config)
        self._terminal = terminal
        self._now = ""
        self._started = False
        self._lock = threading.Lock()

    def note(self, what: str) -> None:
        """Note what is going on, and write it if that has begun."""
        with self._lock:
            self._now = what
            if self._started:
                self._write()

    def start(self) -> None:
        """Write what is going on from here on."""
        with self._lock:
            self._started = True
            self._write()

    def _write(self) -> None:
        if self._now:
            with self._uncaptured():
                self._terminal.write_ensure_prefix(f"  measuring: {self._now}")


@contextmanager
def narrated(config: pytest.Config) -> Iterator[None]:
    """Say what the measurement inside is doing, if it takes longer than a second and the user wants to know."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None or config.get_verbosity() <= 0:
        yield
        return
    from pytest_modelbudget.counting.progress import listening

    narrator = Narrator(config, terminal)
    timer = threading.Timer(PATIENCE, narrator.start)
    timer.daemon = True
    timer.start()
    try:
        with listening(narrator.note):
            yield
    finally:
        timer.cancel()
        timer.join()
