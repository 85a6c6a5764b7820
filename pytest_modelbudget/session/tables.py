"""Find the table of the project that pytest was started in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_NAME = b"modelbudget"


def find_table(config: pytest.Config) -> dict[str, Any] | None:
    """Return the project's table as builtins, or ``None`` where it has none.

    Raises pytest.UsageError with one line per mistake.
    """
    asked_for = config.getoption("modelbudget_config")
    if asked_for:
        return _read(config.invocation_params.dir / asked_for, asked_for, asked_for=True)
    own = config.rootpath / "pyproject.toml"
    if own.is_file():
        return _read(own, "pyproject.toml") if _mentions_us(own) else None
    _refuse_table_above(config.rootpath)
    return None


def _refuse_table_above(root: Path) -> None:
    """Refuse to pass over a table in silence.

    A directory with a pyproject.toml of its own is a project of its own. Without one, rootdir is only a corner of the
    project above it (``-c ci/pytest.ini`` moves rootdir to ``ci``), and so are its budgets.
    """
    for folder in root.parents:
        above = folder / "pyproject.toml"
        if _mentions_us(above):
            shown = os.path.relpath(above, root)
            if _read(above, shown) is not None:
                raise pytest.UsageError(
                    f"{shown}: this [tool.modelbudget] table is above rootdir ({root}) and would be ignored. "
                    f"Say which table is meant: --modelbudget-config={os.path.relpath(above)}"
                )
        if above.is_file() or (folder / ".git").exists():
            return


def _mentions_us(path: Path) -> bool:
    """Tell cheaply whether a file can hold a table of ours, before anything is imported to parse it."""
    try:
        return _NAME in path.read_bytes()
    except OSError:
        return False


def _read(path: Path, shown: str, *, asked_for: bool = False) -> dict[str, Any] | None:
    import msgspec

    from pytest_modelbudget.budgets import TableError
    from pytest_modelbudget.budgets.config_file import read_table

    try:
        table = read_table(path, shown, asked_for=asked_for)
    except TableError as error:
        raise pytest.UsageError(str(error)) from None
    if table is None:
        return None
    data: dict[str, Any] = msgspec.to_builtins(table)
    return data
