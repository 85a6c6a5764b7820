"""Find the file that holds the table, read it, and tell on which line each key stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pytest_modelbudget.budgets.config import ROOT, Keys, Table, key_path, table_from
from pytest_modelbudget.budgets.errors import TableError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ABOVE = frozenset(("inioptions", "model", "project", "pytest", "tool", "tools"))
"""The letters of the tables below which one of ours may have been put by mistake. Below others it is theirs."""
_WHERE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_table(path: Path, shown: str, *, asked_for: bool = False) -> Table | None:
    """Return the table in the file at ``path``, or ``None`` where it holds none.

    ``shown`` is the path as people know it. A file that was ``asked_for`` has to exist and to hold a table. Raises
    TableError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise TableError([f"{shown}: cannot be read: {error.strerror or error}"]) from None
    except UnicodeDecodeError as error:
        raise TableError([f"{shown}: is not UTF-8: {error.reason} at byte {error.start}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise TableError([_syntax_error(shown, text, str(error))]) from None
    misnamed = [
        f"{shown}: [{key_path(keys)}] would be ignored; write [{key_path(ROOT)}]" for keys in _misnamed(document)
    ]
    if misnamed:
        raise TableError(misnamed)
    if not _holds_table(document):
        if asked_for:
            raise TableError([f"{shown}: holds no [tool.modelbudget] table"])
        return None
    return table_from(document, shown, lines_of(text, document))


def project_name(path: Path) -> str:
    """Return the name of the project in the pyproject.toml at ``path``; without one, that of its folder."""
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project")
    except (OSError, ValueError):  # no file, or none of UTF-8 or TOML
        project = None
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) and name else path.parent.name


def lines_of(text: str, document: Mapping[str, Any]) -> dict[Keys, int]:
    """Return the line of every key of ours that stands on one line, each checked against the parsed ``document``.

    tomllib keeps no positions, so each line is parsed by itself. What such a line says is believed only where the
    document says the same: a line inside a multi-line string is not mistaken for a key.
    """
    lines: dict[Keys, int] = {}
    header: Keys = ()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            alone = tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            continue
        if line.lstrip().startswith("["):
            header = next(_empty_tables(alone, ()), ())
            found: dict[Keys, Any] = {header: {}} if header else {}
        else:
            found = dict(_leaves(alone, header))
        for keys, value in found.items():
            if keys[:2] == ROOT and _agrees(document, keys, value):
                lines.setdefault(keys, number)
    return lines


def _misnamed(table: Mapping[str, Any], at: Keys = ()) -> Iterator[Keys]:
    """Yield the tables that were probably meant to be ours: ``[tool.modelbudgets]``, ``[modelbudget.default]``."""
    for key, value in table.items():
        keys, letters = (*at, key), _letters(key)
        if keys == ROOT or not _is_table(value):
            continue
        above = "model" if at and _letters(at[-1]) == "model" else ""
        name = re.sub("^(tools?)?(pytest)?", "", above + letters)
        if name.startswith(ROOT[1]) or get_close_matches(name, ROOT[1:], cutoff=0.85):
            yield keys
        elif letters in _ABOVE and isinstance(value, Mapping):
            yield from _misnamed(value, keys)


def _letters(key: str) -> str:
    return re.sub(r"[^a-z]", "", key.lower())


def _is_table(value: Any) -> bool:
    """Return whether a value is a table, or an array of tables."""
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, Mapping) for item in value))


def _holds_table(document: Mapping[str, Any]) -> bool:
    tool = document.get("tool")
    return isinstance(tool, Mapping) and "modelbudget" in tool


def _empty_tables(data: Mapping[str, Any], at: Keys) -> Iterator[Keys]:
    """Yield the path that a lone header line opens."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _empty_tables(value, (*at, key)) if value else iter([(*at, key)])


def _leaves(data: Mapping[str, Any], at: Keys) -> Iterator[tuple[Keys, Any]]:
    for key, value in data.items():
        yield (*at, key), value
        if isinstance(value, Mapping):
            yield from _leaves(value, (*at, key))


def _agrees(document: Mapping[str, Any], keys: Keys, value: object) -> bool:
    found: Any = document
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    return isinstance(found, Mapping) if isinstance(value, Mapping) else bool(found == value)


def _syntax_error(shown: str, text: str, message: str) -> str:
    where = _WHERE.search(message)
    if where is None:
        return f"{shown}: is not valid TOML: {message}"
    last_line = text.splitlines()[-1:] or [""]
    line, column = (where[1], where[2]) if where[1] else (len(text.splitlines()) or 1, len(last_line[0]) + 1)
    return f"{shown}:{line}:{column}: is not valid TOML: {message[: where.start()]}"
