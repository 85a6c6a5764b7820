"""Refuse to pass over a baseline in silence: one that stands where a person would take it for the one in use.

Every run looks, so that nothing is imported here that a run without budgets does not need.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_modelbudget.session.files.tables import (
    only_informs,
    project_folders,
    refuse_tables_beside,
    started_in,
    table_file,
)

NAME = "modelbudget.lock.json"


def lock_path(config: pytest.Config, baseline: str | None) -> Path:
    """Return where the lock file is, or would be; ``baseline`` is the path that the table in use names, if any."""
    return table_file(config).parent / (baseline or NAME)


def may_have_lock(config: pytest.Config) -> bool:
    """Tell cheaply whether a project without a table has a baseline, or wants one."""
    if only_informs(config):
        return False
    wanted = config.getoption("modelbudget_update") or config.getoption("modelbudget_prune")
    return bool(wanted) or os.path.lexists(config.rootpath / NAME)


def refuse_locks_at_start(config: pytest.Config, table: Mapping[str, Any] | None) -> None:
    """Raise pytest.UsageError where the folder of the run, or a path that was given, has a baseline of its own."""
    if not only_informs(config):
        _refuse(config, table, started_in(config))


def refuse_others_beside(config: pytest.Config, table: Mapping[str, Any] | None, files: Iterable[Path]) -> None:
    """Raise pytest.UsageError where a collected file has a table or a baseline of its own."""
    folders = {path.parent: None for path in files}
    refuse_tables_beside(config, folders)
    _refuse(config, table, folders)


def _refuse(config: pytest.Config, table: Mapping[str, Any] | None, starts: Iterable[Path]) -> None:
    """Refuse the nearest baseline of any of these folders that is not in use, unless the table in use names one."""
    if table and table["baseline"]:
        return
    used, known = lock_path(config, None), set[Path]()
    for start in starts:
        for folder in project_folders(start, config.rootpath):
            if folder in known:
                break
            known.add(folder)
            path = folder / NAME
            if not os.path.lexists(path) or path.is_dir():
                continue
            if os.path.realpath(path) != os.path.realpath(used):
                raise pytest.UsageError(_ignored(config, path, used))
            break  # the folders above are another project's


def _ignored(config: pytest.Config, path: Path, used: Path) -> str:
    here, asked_for = config.invocation_params.dir, config.getoption("modelbudget_config")
    shown, instead = os.path.relpath(path, here), os.path.relpath(used, here)
    why = f"the table in use is {asked_for}" if asked_for else f"rootdir is {config.rootpath}"
    table = asked_for or os.path.relpath(config.rootpath / "pyproject.toml", here)
    named = Path(os.path.relpath(path, used.parent)).as_posix()
    choose = "" if asked_for else f"--rootdir={Path(shown).parent}, or "
    return (
        f"{shown}: this baseline would be ignored: {why}, so the baseline is read from {instead}"
        f"{'' if used.is_file() else ' (no such file)'}. Say which is meant: {choose}"
        f'baseline = "{named}" under [tool.modelbudget] in {table}'
    )
