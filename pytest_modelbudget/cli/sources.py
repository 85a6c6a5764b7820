"""Read lock files and reports from where the command line names them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pytest_modelbudget.files import check_writable, write_whole
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.baseline import LockError, read_lock
from pytest_modelbudget.results.comparing import Identity, of_lock, of_run
from pytest_modelbudget.results.store import ReportError, read_report


class SourceError(Exception):
    """What cannot be read, and why, on one line."""


class _Kind(msgspec.Struct):
    run: msgspec.Raw = msgspec.Raw(b"")
    flops_per_mac: int = 2


def measurements(source: str) -> tuple[Mapping[Identity, Measurement], int]:
    """Return the measurements in a lock file or a report, and its convention. Raises SourceError.

    ``-`` is standard input, ``git:REV:PATH`` a file in a revision of the repository.
    """
    text = _text(source)
    try:
        kind = msgspec.json.decode(text, type=_Kind)
        if kind.run:
            run = read_report(text, source)
            return of_run(run), run.flops_per_mac
        return of_lock(read_lock(text, source, kind.flops_per_mac)), kind.flops_per_mac
    except (LockError, ReportError) as error:
        raise SourceError(str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise SourceError(f"{source}: is neither a lock file nor a report: {error}") from None


def stored_run(source: str) -> Run:
    """Return the run in a JSON report. Raises SourceError."""
    try:
        return read_report(_text(source), source)
    except ReportError as error:
        raise SourceError(str(error)) from None


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises SourceError."""
    try:
        check_writable(path)
        write_whole(path, text)
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from None


def _text(source: str) -> str:
    try:
        return _bytes(source).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{source}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _bytes(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    if not source.startswith("git:"):
        return Path(source).read_bytes()
    revision, _, path = source.removeprefix("git:").partition(":")
    if not revision or revision.startswith("-") or not path:
        raise SourceError(f"{source}: write git:REV:PATH, as in git:main:modelbudget.lock.json")
    done = subprocess.run(["git", "show", f"{revision}:{path}"], capture_output=True, check=False)
    if done.returncode:
        raise SourceError(f"{source}: {done.stderr.decode(errors='replace').strip() or 'git has no such file'}")
    return done.stdout
