"""The page of faults: every way past the guard that was tried, and what becomes of it in each mode."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

TESTS = Path(__file__).parents[1]
HEAD = """# Ways past the guard

Written by the tests themselves, and held against what they find
(`UPDATE_FAULTS=1 python -m pytest tests/plugin/test_page_of_faults.py` writes it anew). In
each row somebody tries, or happens, to measure a model without being held to its budget, or the guard itself could be
wrong. *Fails* and *error* are a failed and a broken test; a row that passes says what proves that the guard looked.
"""
ELSEWHERE = {
    "plugin/test_which_table.py": "Which table is in use",
    "plugin/test_table.py": "The table",
    "plugin/test_which_lock.py": "Which lock file is in use",
    "plugin/test_late_marks.py": "Marks that are added when the call has begun",
    "plugin/test_declared_always_run.py": "Declared models are always run",
    "plugin/test_declared_given_up.py": "Declared models that give up",
    "plugin/test_shared_mark.py": "A mark that another plugin has too",
    "plugin/test_subtests.py": "Subtests",
    "plugin/test_completeness.py": "Runs that do not show everything",
    "plugin/test_shared_marks.py": "Marks of a class or module",
    "plugin/test_failed_tests.py": "Failed tests in reports",
    "plugin/test_pruning.py": "Tests that failed or gave up, and the baseline",
    "plugin/test_gates.py": "What is wrong with the run as a whole",
    "plugin/test_broken_runs.py": "Broken runs",
    "counting/real_run/test_whole_models.py": "The model is the whole",
    "counting/real_run/test_observing_leaves_nothing.py": "What observing leaves behind",
}
"""Tests that run pytest with options of their own, or none at all: each holds its row in the modes that it names."""

MODES = {"PLAIN_AND_N2": ["plain", "-n2"], "EVERY_MODE": ["plain", "-n0", "-n2"]}
"""The modes of the marks in conftest.py."""

WORDS = {"failed": "fails", "error": "error", "passed": "passes", "skipped": "skipped", "xfailed": "xfails"}


def sentence(name: str) -> str:
    """Return the name of a test as a sentence."""
    words = name.removeprefix("test_").replace("_", " ")
    return words[:1].upper() + words[1:]


def topic(module: str) -> str:
    """Return the heading for a module of behaviours."""
    return sentence(module.partition(".")[0])


def page(behaviours: Mapping[str, list[tuple[str, str, Mapping[str, str]]]]) -> str:
    """Return the whole page; ``behaviours`` has by topic the name of each case, what it says, and its outcomes."""
    parts = [HEAD]
    for heading, cases in behaviours.items():
        rows = [
            (sentence(name), f"`{says.replace('|', ' ')}`", *(WORDS[one] for one in outcomes.values()))
            for name, says, outcomes in cases
        ]
        modes = [mode if mode == "plain" else f"-{mode}" for mode in cases[0][2]]
        parts.append(f"## {heading}\n\n{_table(rows, ['scenario', 'the report says', *modes])}\n")
    for path, heading in ELSEWHERE.items():
        found = [(sentence(name), ", ".join(modes)) for name, modes in _tests(TESTS / path)]
        parts.append(f"## {heading}\n\nHeld by `tests/{path}`.\n\n{_table(found, ['scenario', 'modes'])}\n")
    return "\n".join(parts)


def _table(rows: Sequence[tuple[str, ...]], headers: list[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _tests(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the tests of a file, and the modes in which they run pytest."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = {ast.unparse(one) for one in node.decorator_list}
            if not {"run", "run_apart", "pytester"} & {one.arg for one in node.args.args}:
                modes = ["without pytest"]
            elif marks & MODES.keys():
                modes = MODES[(marks & MODES.keys()).pop()]
            elif any("with_workers(" in mark for mark in marks):
                modes = ["plain", "-n2"]
            else:
                modes = ["-n2"] if "pytest.mark.slow" in marks else ["plain"]
            yield node.name, modes
