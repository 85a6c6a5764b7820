"""Which table and which lock file are in use, and an error for others that somebody would take for them.

Every run looks, so that nothing is imported here that a run without budgets does not need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

LOCK_NAME = "modelbudget.lock.json"
_OPTION = "--modelbudget-config"
_MAY_NAME_US = rb"(?i)budg|model[-_]?b|\\[ux]"  # TOML may write the name with escapes
_INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
_INI_SECTION = rb"(?im)^\s*\[\s*(tools?[.:])?(pytest[-_.:])?model[-_.]?budgets?\b"

Data = Mapping[str, Any]
"""The table as plain dicts and lists."""


def find_table(config: pytest.Config) -> dict[str, Any] | None:
    """Return the project's table as plain dicts and lists, or ``None`` where it has none.

    Raises pytest.UsageError with one line per mistake, and for a table that somebody in the folder where pytest was
    started, or beside a path that was given, would take for the one in use.
    """
    if _only_informs(config):
        return None
    asked_for = config.getoption("modelbudget_config")
    if asked_for is not None:
        if not asked_for:
            raise pytest.UsageError(f"{_OPTION}= is empty: give the TOML file that holds the [tool.modelbudget] table")
        return _read(config.invocation_params.dir / asked_for, asked_for, asked_for=True)
    table = _table_in(config.rootpath, "pyproject.toml")
    _refuse_tables(config, _started_in(config))
    _refuse_ini(config)
    return table


def table_file(config: pytest.Config) -> Path:
    """Return the file that holds the table in use, or would hold it."""
    asked_for = config.getoption("modelbudget_config")
    path = config.invocation_params.dir / asked_for if asked_for else config.rootpath / "pyproject.toml"
    return Path(os.path.normpath(path))


def lock_path(config: pytest.Config, baseline: str | None) -> Path:
    """Return where the lock file is, or would be; ``baseline`` is the path that the table in use names, if any."""
    return table_file(config).parent / (baseline or LOCK_NAME)


def may_have_lock(config: pytest.Config) -> bool:
    """Tell cheaply whether a project without a table has a baseline, or wants one."""
    wanted = config.getoption("modelbudget_update") or config.getoption("modelbudget_prune")
    return not _only_informs(config) and (bool(wanted) or os.path.lexists(config.rootpath / LOCK_NAME))


def refuse_locks_at_start(config: pytest.Config, table: Data | None) -> None:
    """Raise pytest.UsageError where the folder of the run, or a path that was given, has a baseline of its own."""
    if not _only_informs(config):
        _refuse_locks(config, table, _started_in(config))


def refuse_others_beside(config: pytest.Config, table: Data | None, files: Iterable[Path]) -> None:
    """Raise pytest.UsageError where a collected file has a table or a baseline of its own."""
    folders = dict.fromkeys(path.parent for path in files)
    if config.getoption("modelbudget_config") is None:
        _refuse_tables(config, folders)
    _refuse_locks(config, table, folders)


def is_same_file(path: Path, other: Path) -> bool:
    """Return whether two paths are one file, by whatever links they lead there."""
    try:
        return path == other or path.samefile(other)
    except OSError:
        return False


def _only_informs(config: pytest.Config) -> bool:
    """Return whether pytest was asked for its help, version or markers, and runs nothing."""
    return any(config.getoption(name, False) for name in ("help", "version", "markers"))


def _started_in(config: pytest.Config) -> Iterator[Path]:
    """Yield the folder of the run, rootdir, and the folder of each path that was given."""
    yield from (config.invocation_params.dir, config.rootpath)
    for argument in config.args:
        path = config.invocation_params.dir / str(argument).partition("::")[0]
        yield path if path.is_dir() else path.parent


def _project_folders(start: Path, root: Path) -> Iterator[Path]:
    """Yield the folders whose pyproject.toml speaks for ``start``, up to rootdir.

    Where ``start`` is not below rootdir (``-c ci/pytest.ini`` moves rootdir to ``ci``), up to the first folder with a
    pyproject.toml, or the root of the repository.
    """
    below = root in start.parents
    for folder in (start, *start.parents):
        if folder == root and below:
            return
        yield folder
        if not below and (os.path.lexists(folder / "pyproject.toml") or (folder / ".git").exists()):
            return


def _refuse_tables(config: pytest.Config, starts: Iterable[Path]) -> None:
    root, used = config.rootpath, config.rootpath / "pyproject.toml"
    for folder in dict.fromkeys(folder for start in starts for folder in _project_folders(start, root)):
        path = folder / "pyproject.toml"
        shown = os.path.relpath(path, config.invocation_params.dir)
        if not is_same_file(path, used) and _table_in(folder, shown) is not None:
            raise pytest.UsageError(_ignored_table(config, shown))


def _refuse_ini(config: pytest.Config) -> None:
    """Refuse a table in the file that pytest shows as its configfile, and in others that it may read at rootdir."""
    used = config.rootpath / "pyproject.toml"
    beside = [path for path in (config.rootpath / name for name in _INI_FILES) if path.is_file()]
    for path in dict.fromkeys([config.inipath, *beside] if config.inipath else beside):
        shown = os.path.relpath(path, config.invocation_params.dir)
        if path.suffix == ".toml":
            if not is_same_file(path, used) and _may_name_us(path) and _read(path, shown) is not None:
                raise pytest.UsageError(_ignored_table(config, shown))
        elif re.search(_INI_SECTION, path.read_bytes()):
            raise pytest.UsageError(
                f"{shown}: budgets are read from [tool.modelbudget] in a pyproject.toml, not from here"
            )


def _refuse_locks(config: pytest.Config, table: Data | None, starts: Iterable[Path]) -> None:
    """Refuse the nearest baseline of any of these folders that is not in use, unless the table in use names one."""
    if table and table["baseline"]:
        return
    used, known = lock_path(config, None), set[Path]()
    for start in starts:
        for folder in _project_folders(start, config.rootpath):
            path = folder / LOCK_NAME
            if folder in known:
                break
            known.add(folder)
            if not os.path.lexists(path) or path.is_dir():
                continue
            if os.path.realpath(path) != os.path.realpath(used):
                raise pytest.UsageError(_ignored_lock(config, path, used))
            break  # the folders above are another project's


def _ignored_table(config: pytest.Config, shown: str) -> str:
    used = config.rootpath / "pyproject.toml"
    instead = os.path.relpath(used, config.invocation_params.dir)
    return (
        f"{shown}: this [tool.modelbudget] table would be ignored: rootdir is {config.rootpath}, so budgets are read "
        f"from {instead}{_missing(used)}. Say which table is meant: {_OPTION}={shown}"
    )


def _ignored_lock(config: pytest.Config, path: Path, used: Path) -> str:
    here, asked_for = config.invocation_params.dir, config.getoption("modelbudget_config")
    shown, instead = os.path.relpath(path, here), os.path.relpath(used, here)
    why = f"the table in use is {asked_for}" if asked_for else f"rootdir is {config.rootpath}"
    table = asked_for or os.path.relpath(config.rootpath / "pyproject.toml", here)
    named = Path(os.path.relpath(path, used.parent)).as_posix()
    choose = "" if asked_for else f"--rootdir={Path(shown).parent}, or "
    return (
        f"{shown}: this baseline would be ignored: {why}, so the baseline is read from {instead}{_missing(used)}. "
        f'Say which is meant: {choose}baseline = "{named}" under [tool.modelbudget] in {table}'
    )


def _missing(path: Path) -> str:
    return "" if path.is_file() else " (no such file)"


def _table_in(folder: Path, shown: str) -> dict[str, Any] | None:
    path = folder / "pyproject.toml"
    return _read(path, shown) if os.path.lexists(path) and not path.is_dir() and _may_name_us(path) else None


def _may_name_us(path: Path) -> bool:
    """Tell cheaply whether a file can hold a table of ours, before anything is imported to parse it."""
    try:
        return re.search(_MAY_NAME_US, path.read_bytes()) is not None
    except OSError:
        return True  # what cannot be read is refused when it is read


def _read(path: Path, shown: str, *, asked_for: bool = False) -> dict[str, Any] | None:
    import msgspec

    from pytest_modelbudget.budgets import TableError
    from pytest_modelbudget.budgets.config_file import read_table

    try:
        table = read_table(path, shown, asked_for=asked_for)
    except TableError as error:
        raise pytest.UsageError(str(error)) from None
    data: dict[str, Any] | None = None if table is None else msgspec.to_builtins(table)
    return data
