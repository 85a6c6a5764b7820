"""Which table and which lock file are in use, an error for others, and whether the run was asked for the whole project.

Every run looks, so that nothing is imported here that a run without budgets does not need.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from pytest_modelbudget.files import shown_from

LOCK_NAME = "modelbudget.lock.json"
_OPTION = "--modelbudget-config"
_MAY_NAME_US = rb"(?i)budg|model[-_]?b|\\[ux]"  # TOML may write the name with escapes
_INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
_INI_SECTION = rb"(?im)^\s*\[\s*(tools?[.:])?(pytest[-_.:])?model[-_.]?budgets?\b"

Data = Mapping[str, Any]
"""The table as plain dicts and lists."""


def find_table(config: pytest.Config) -> dict[str, Any] | None:
    """Return the project's table as plain dicts and lists, or ``None`` where it has none.

    Raises pytest.UsageError with one line per mistake.
    """
    if _only_informs(config):
        return None
    asked_for = config.getoption("modelbudget_config")
    if asked_for is not None:
        shown = Path(asked_for).as_posix() if asked_for else f"{_OPTION}="
        return _read(config.invocation_params.dir / asked_for, shown, asked_for=True)
    _refuse_ini(config)
    return _table_in(config.rootpath, "pyproject.toml")


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


def refuse_others(config: pytest.Config, table: Data | None, folders: Iterable[Path] | None = None) -> None:
    """Raise pytest.UsageError for a table or a baseline that somebody would take for the one in use.

    It stands in one of ``folders`` or above, up to rootdir; by default these are the folder of the run, and those of
    the paths that were given.
    """
    if _only_informs(config):
        return
    starts = [*dict.fromkeys(_started_in(config) if folders is None else folders)]
    if config.getoption("modelbudget_config") is None:
        _refuse_tables(config, starts)
    if not (table and table["baseline"]):
        _refuse_locks(config, starts)


def is_same_file(path: Path, other: Path) -> bool:
    """Return whether two paths are one file, by whatever links they lead there."""
    try:
        return path.samefile(other)  # by another spelling too, where the system does not tell Net from net
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)


def runs_declared(config: pytest.Config) -> bool:
    """Return whether the arguments ask for the declared models, as they do when they ask for the whole project.

    They have to cover all ``testpaths``; without these, to name rootdir or a folder directly below it. A folder that
    holds the table will do too.
    """
    given = [path.resolve() for path in (config.invocation_params.dir / arg for arg in config.args) if path.exists()]
    table, root, named = table_file(config).resolve(), config.rootpath.resolve(), configured_paths(config)
    if named:
        whole = all(any(folder in (path, *path.parents) for folder in given) for path in named)
    else:
        whole = any(root in (folder, folder.parent) for folder in given if folder.is_dir())
    asked_for = whole or any(folder in table.parents for folder in given)
    return asked_for and not is_ignored(table, config)


def configured_paths(config: pytest.Config) -> list[Path]:
    """Return the paths that ``testpaths`` names and that exist."""
    below = glob.escape(str(config.rootpath))
    patterns = [os.path.join(below, pattern) for pattern in config.getini("testpaths")]  # noqa: PTH118 - absolute ones
    return [Path(path).resolve() for pattern in patterns for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207


def is_ignored(path: Path, config: pytest.Config) -> bool:
    """Return whether the options ``--ignore`` and ``--ignore-glob`` leave out a path."""
    ignored = {Path(option).resolve() for option in option_values(config, "ignore")}
    patterns = map(os.path.abspath, option_values(config, "ignore_glob"))
    return bool(ignored & {path, *path.parents}) or any(fnmatch(str(path), pattern) for pattern in patterns)


def option_values(config: pytest.Config, name: str) -> Sequence[str]:
    """Return what was given with an option, or nothing."""
    return config.getoption(name) or ()


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
    # A file of the project lies below rootdir, unless -c or --rootdir has moved it elsewhere.
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
        shown = shown_from(config.invocation_params.dir, path)
        if not is_same_file(path, used) and _table_in(folder, shown) is not None:
            raise _ignored(config, path, used, "[tool.modelbudget] table", f"{_OPTION}={shown}")


def _refuse_ini(config: pytest.Config) -> None:
    """Refuse a table in the file that pytest shows as its configfile, and in others that it may read at rootdir."""
    used = config.rootpath / "pyproject.toml"
    for path in dict.fromkeys([config.inipath or used, *(config.rootpath / name for name in _INI_FILES)]):
        if path.is_file() and not is_same_file(path, used) and re.search(_INI_SECTION, path.read_bytes()):
            shown, instead = (shown_from(config.invocation_params.dir, file) for file in (path, used))
            raise pytest.UsageError(f"{shown}: budgets are read from [tool.modelbudget] in {instead}, not from here")


def _refuse_locks(config: pytest.Config, starts: Iterable[Path]) -> None:
    """Refuse the nearest baseline of any of these folders that is not in use."""
    used, known = lock_path(config, None), set[Path]()
    for start in starts:
        for folder in _project_folders(start, config.rootpath):
            path = folder / LOCK_NAME
            if folder in known:
                break
            known.add(folder)
            if not os.path.lexists(path) or path.is_dir():
                continue
            if not is_same_file(path, used):
                named = shown_from(used.parent, path)
                table = shown_from(config.invocation_params.dir, table_file(config))
                remedy = f'baseline = "{named}" under [tool.modelbudget] in {table}'
                raise _ignored(config, path, used, "baseline", remedy)
            break  # the folders above are another project's


def _ignored(config: pytest.Config, path: Path, used: Path, what: str, remedy: str) -> pytest.UsageError:
    shown, instead = (shown_from(config.invocation_params.dir, file) for file in (path, used))
    asked_for = config.getoption("modelbudget_config")
    why = f"the table in use is {asked_for}" if asked_for else f"rootdir is {config.rootpath}"
    missing = "" if used.is_file() else " (no such file)"
    return pytest.UsageError(
        f"{shown}: this {what} would be ignored: {why}, so the {what} is read from {instead}{missing}. "
        f"Say which is meant: {remedy}"
    )


def _table_in(folder: Path, shown: str) -> dict[str, Any] | None:
    path = folder / "pyproject.toml"
    if not os.path.lexists(path) or path.is_dir():
        return None
    with suppress(OSError):  # what cannot be read is refused when it is parsed
        if not re.search(_MAY_NAME_US, path.read_bytes()):
            return None  # parsing would import msgspec, and every run looks
    return _read(path, shown)


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
