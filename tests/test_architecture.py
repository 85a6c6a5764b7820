"""The structure of the package: who may import whom, how large a file may be, and one table of metrics."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest_modelbudget

PACKAGE = Path(pytest_modelbudget.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def test_imports_keep_the_contracts_in_pyproject() -> None:
    linter = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    assert linter, "import-linter is not installed"
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}  # it draws lines that cp1252 does not have
    done = subprocess.run(
        [linter, "--no-cache"], cwd=PACKAGE.parent, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno - len((ast.get_docstring(function) or "").splitlines())


def test_files_and_functions_stay_small() -> None:
    too_long = []
    for path in FILES:
        name, text = path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 500:
            too_long.append(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and lines_of_code(node) >= 45:
                too_long.append(f"{name}: {node.name}")
    assert too_long == []
