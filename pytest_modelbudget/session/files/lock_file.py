"""The lock file of one run: found and read at its start, written at its end, by the controller alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_modelbudget.budgets import Table
from pytest_modelbudget.files import check_writable, shown_from
from pytest_modelbudget.results.baseline import LockError, read_lock
from pytest_modelbudget.session.files.in_use import lock_path

_CI = ("CI", "BUILD_NUMBER", "TF_BUILD")
"""Variables that services set: most of them, Jenkins, and Azure Pipelines."""
UPDATE = "--modelbudget-update"


@dataclass(frozen=True, slots=True)
class LockFile:
    """Where the lock file is, as people know it (``shown``), and its text at the start of the run, if it exists."""

    path: Path
    shown: str
    text: str | None


def find_lock(config: pytest.Config, table: Table) -> LockFile:
    """Return the lock file of the project, checked.

    Raises pytest.UsageError for one that cannot be read, or not be used as it is asked for.
    """
    path = lock_path(config, table.baseline)
    shown = shown_from(config.rootpath, path)
    lock = LockFile(path, shown, _text_of(path, shown))
    if lock.text is not None:
        try:
            read_lock(lock.text, shown, table.flops_per_mac)
        except LockError as error:
            raise pytest.UsageError(str(error)) from None
    if writes(config):
        _refuse_in_ci(shown)
        _refuse_unwritable(path, shown)
    elif table.baseline is not None and lock.text is None:
        raise pytest.UsageError(
            f"{shown}: does not exist, and {table.path} names it as the baseline. Make it: pytest {UPDATE}"
        )
    return lock


def writes(config: pytest.Config) -> bool:
    """Return whether this run was asked to write the lock file."""
    return bool(config.getoption("modelbudget_update") or config.getoption("modelbudget_prune"))


def _text_of(path: Path, shown: str) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"{shown}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _refuse_in_ci(shown: str) -> None:
    # Most services set CI=true; CI=0 and CI=false mean that a person is there.
    found = [name for name in _CI if os.environ.get(name, "").lower() not in ("", "0", "false")]
    if found:
        raise pytest.UsageError(
            f"{shown}: {found[0]} is set, and a baseline is accepted by a person. Run this on your machine, and commit "
            f"the file: pytest {UPDATE}"
        )


def _refuse_unwritable(path: Path, shown: str) -> None:
    try:
        check_writable(path)
    except OSError as error:
        raise pytest.UsageError(f"{shown}: cannot be written: {error.strerror}") from None
