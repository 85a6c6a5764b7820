"""Whether a run shows everything that the project's tests measure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelbudget.files import shown_from
from pytest_modelbudget.results import Incomplete
from pytest_modelbudget.session.files.in_use import (
    configured_paths,
    is_ignored,
    option_values,
    runs_declared,
    table_file,
)
from pytest_modelbudget.session.pytest_private import matches
from pytest_modelbudget.session.state import Session


def incomplete(session: Session) -> Iterator[tuple[Incomplete, str]]:
    """Yield why this run cannot show everything that the project's tests measure, and what each reason is about.

    Whether every file was collected is another question: see ``uncollected``.
    """
    config, collection = session.config, session.collection
    chosen = [str(arg) for arg in config.args if "::" in str(arg)]
    chosen += [f"-o {option}" for option in option_values(config, "override_ini") if option.startswith(_COLLECTS)]
    if chosen:
        yield "selected", first_and_number(chosen)
    elif session.declares_models and not runs_declared(config):
        yield "arguments", arguments(config)
    if session.lost_workers or session.internal_errors:
        yield "worker lost", first_and_number(session.lost_workers)
    if collection.is_partial or config.getoption("lf", False):
        filters = {"-k": option_values(config, "keyword"), "-m": option_values(config, "markexpr")}
        yield "deselected", " ".join(f"{option} {value}" for option, value in filters.items() if value)
    gave_up = [test for test, found in session.tests.items() if found.skipped or test in session.skipped_in_part]
    if collection.skipped or gave_up:
        yield "skipped", first_and_number([*gave_up, *collection.skipped])
    if collection.failed:
        yield "collection failed", first_and_number(collection.failed)
    # -x, a time limit or an interrupt leave tests that have never ended.
    nothing = not collection.collected and not collection.is_partial
    if nothing or len(collection.ended) < collection.collected or config.getoption("setuponly", False):
        yield "stopped", ""


_COLLECTS = ("testpaths", "python_", "norecursedirs")
"""Where the names of the settings begin that say what is collected."""


def uncollected(session: Session) -> dict[Incomplete, str]:
    """Return the first file that the project's own configuration would collect and that this run did not, if any.

    Plugins and conftests can leave out files in many ways, and do not say so: so the folders are searched. Where the
    run was not asked for the whole project, what it was asked for says more, and comes first.
    """
    config = session.config
    collected = {os.path.realpath(path) for path in session.collection.files}
    for path in _test_files(config):
        if os.path.realpath(path) not in collected:
            asked_for: dict[Incomplete, str] = {} if runs_declared(config) else {"arguments": arguments(config)}
            return {**asked_for, "not collected": shown_from(config.rootpath, path)}
    return {}


def _test_files(config: pytest.Config) -> Iterator[str]:
    """Yield the files below the project's folder that ``testpaths``, ``python_files`` and ``norecursedirs`` name."""
    table = table_file(config)
    project = (table.parent if table.name == "pyproject.toml" else config.rootpath).resolve()
    files, passed_over = config.getini("python_files"), config.getini("norecursedirs")
    named = [path for path in configured_paths(config) if project in (path, *path.parents)]
    yield from (str(path) for path in named if path.is_file())
    for start in named or [project]:
        # Removing a folder from `below` keeps os.walk from entering it.
        for folder, below, names in os.walk(start):
            below[:] = [name for name in sorted(below) if not _is_passed_over(Path(folder, name), passed_over)]
            for path in (Path(folder, name) for name in sorted(names) if name.endswith(".py")):
                if matches(path, files):
                    yield str(path)


_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta/history")
"""The files by which pytest knows the folder of a virtual environment."""


def _is_passed_over(folder: Path, patterns: list[str]) -> bool:
    return matches(folder, ["__pycache__", *patterns]) or any((folder / name).is_file() for name in _ENVIRONMENTS)


def arguments(config: pytest.Config) -> str:
    """Return what the run was asked for, as short as it can be told: what ignores the table, if anything does."""
    ignored = [f"--ignore={path}" for path in (*option_values(config, "ignore"), *option_values(config, "ignore_glob"))]
    asked_for = [shown_from(Path.cwd(), arg) if Path(arg).is_absolute() else str(arg) for arg in config.args]
    return first_and_number(ignored if is_ignored(table_file(config).resolve(), config) else asked_for + ignored)


def first_and_number(found: list[str]) -> str:
    """Return the first of what was found, and how many more there are."""
    more = f" + {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""
