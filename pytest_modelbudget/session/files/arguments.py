"""What a run was asked for: files, folders and options."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_modelbudget.session.files.in_use import table_file


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
    return asked_for and not _is_ignored(table, config)


def arguments(config: pytest.Config) -> str:
    """Return what the run was asked for, as short as it can be told: what ignores the table, if anything does."""
    ignored = [f"--ignore={path}" for path in (*option_values(config, "ignore"), *option_values(config, "ignore_glob"))]
    asked_for = [os.path.relpath(arg) if Path(arg).is_absolute() else str(arg) for arg in config.args]
    return first_and_number(ignored if _is_ignored(table_file(config).resolve(), config) else asked_for + ignored)


def configured_paths(config: pytest.Config) -> list[Path]:
    """Return the paths that ``testpaths`` names and that exist."""
    below = glob.escape(str(config.rootpath))
    patterns = [os.path.join(below, pattern) for pattern in config.getini("testpaths")]  # noqa: PTH118 - absolute ones
    return [Path(path).resolve() for pattern in patterns for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207


def _is_ignored(path: Path, config: pytest.Config) -> bool:
    ignored = {Path(option).resolve() for option in option_values(config, "ignore")}
    patterns = map(os.path.abspath, option_values(config, "ignore_glob"))
    return bool(ignored & {path, *path.parents}) or any(fnmatch(str(path), pattern) for pattern in patterns)


def option_values(config: pytest.Config, name: str) -> Sequence[str]:
    """Return what was given with an option, or nothing."""
    return config.getoption(name) or ()


def first_and_number(found: list[str]) -> str:
    """Return the first of what was found, and how many more there are."""
    more = f" + {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""
