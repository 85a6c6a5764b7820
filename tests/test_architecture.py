"""The rooms of the house: who may import whom, wherever in a file the import stands."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_modelbudget

PACKAGE = Path(pytest_modelbudget.__file__).parent
MAY_IMPORT = {
    "measurement": {"msgspec", "tabulate"},
    "budgets": {"measurement", "msgspec", "tomli"},
    "counting": {"measurement", "torch", "numpy"},
    "reports": {"measurement", "budgets", "tabulate"},
    "session": {"measurement", "budgets", "counting", "reports", "pytest", "msgspec"},
    "hookspecs": set(),
    "plugin": {"session", "hookspecs", "pytest"},
    "__init__": {"budgets", "counting", "measurement"},
}


def imports(path: Path) -> Iterator[str]:
    """Yield what a file imports: rooms by their names, everything else by its top-level package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "pytest_modelbudget" else [module]
        for name in names:
            package, _, rest = name.partition(".")
            yield rest.partition(".")[0] if package == "pytest_modelbudget" else package


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES])
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = MAY_IMPORT[room] | {room} | set(sys.stdlib_module_names)
    assert set(imports(path)) <= allowed


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES])
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 45, f"{node.name} is too long"
