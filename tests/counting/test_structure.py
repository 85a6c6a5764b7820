"""The structure of counting: its parts depend on each other in one direction only, and no file is part of a cycle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pytest_modelbudget import counting

PACKAGE = Path(counting.__file__).parent
NAME = "pytest_modelbudget.counting"
SHARED = {"errors", "plain_tensors", "torch_private"}
RUN = {"asking", "modules", "operators", "progress", "restoring", "threads", "user_code"} | SHARED
MAY_IMPORT: dict[str, set[str]] = {
    "errors": {"signals"},
    "containers": set(),
    "plain_tensors": set(),
    "private_names": set(),
    "torch_names": {"private_names"},
    "torch_private": {"private_names", "torch_names"},
    "user_code": {"errors"},
    "signals": set(),
    "progress": set(),
    "threads": {"restoring"},
    "operators": {"torch_private"},
    "restoring": {"containers"} | SHARED,
    "modules": {"containers", "operators", "restoring", "torch_names"} | SHARED,
    "asking": {"artifacts", "containers", "memory", "modules", "progress", "restoring", "user_code"} | SHARED,
    "artifacts": {"modules"} | SHARED,
    "memory": {"modules", "operators"} | SHARED,
    "shape_run": RUN | {"memory", "signals"},
    "real_run": RUN | {"memory", "shape_run"},
    "observing": {"asking", "containers", "measuring", "modules", "real_run", "restoring", "threads"} | SHARED,
    "measuring": {"artifacts", "asking", "real_run", "restoring", "shape_run", "user_code"} | SHARED,
    "__init__": {"asking", "measuring", "observing", "operators"},
}
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of counting that a file imports, wherever in it: also for types only, and in functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            module = name.removeprefix(f"{NAME}.")
            if module != name:
                yield module if module in MODULES else module.rpartition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_parts_depend_on_each_other_in_one_direction(module: str) -> None:
    part = module.partition(".")[0]
    assert {name.partition(".")[0] for name in imported(MODULES[module])} <= MAY_IMPORT[part] | {part}


def test_the_order_of_the_parts_has_no_cycle() -> None:
    assert set(TopologicalSorter(MAY_IMPORT).static_order()) == set(MAY_IMPORT)


def test_no_file_is_part_of_an_import_cycle() -> None:
    graph = {module: {name for name in imported(path) if name != module} for module, path in MODULES.items()}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)
