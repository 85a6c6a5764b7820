"""Run the project of the material, and keep what each surface shows of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pytest_modelbudget.reports.github import workflow_commands
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.store import read_report
from tools.example import run_pytest

PROJECT = Path(__file__).parent / "project"
WIDTHS = (60, 80, 120)
_LENIENT = {'"400G"': '"500G"', '"17.0G"': '"18G"', '"1.4G"': '"2G"'}
"""Limits that the models kept before, so that the baseline has them all."""
_OF_THE_NEW = re.compile(r"(?m)^\[tool\.modelbudget\.models\.vit_tiny\]\n(.+\n)+")
_REPORTS = ("json", "markdown", "html", "csv", "metrics", "codequality", "benchmark", "bmf")
_TIMES = re.compile(r"\b\d+\.\d+s( \(\d:\d\d:\d\d\))?")


_RULES = re.compile(r"(?m)([=_])\1{3,}(?= |$)")


def write_surfaces(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Run the project as it was and as it is, and yield each file that a surface is written to, with its size."""
    folder = folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    project = folder / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    table = project / "pyproject.toml"
    now = before = table.read_text(encoding="utf-8")
    for limit, lenient in _LENIENT.items():
        before = before.replace(limit, lenient)
    before = _OF_THE_NEW.sub("", before)
    table.write_text(before, encoding="utf-8")
    run = partial(run_pytest, folder=project, passes=False, HF_HUB_OFFLINE="1")
    run("--modelbudget-update", MATERIAL_BASE="1")
    table.write_text(now, encoding="utf-8")
    reports = [f"--modelbudget-report={kind}:{folder / 'report'}.{kind}" for kind in _REPORTS]
    screen = run(*reports, f"--junitxml={folder / 'junit.xml'}")
    (folder / "pytest.txt").write_text(_without_this_machine(screen), encoding="utf-8")
    found = read_report((folder / "report.json").read_text(encoding="utf-8"), "report.json")
    for width in WIDTHS:
        (folder / f"summary-{width}.txt").write_text(screen_of(found, width), encoding="utf-8")
    (folder / "annotations.txt").write_text("\n".join(workflow_commands(found)) + "\n", encoding="utf-8")
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        text = path.read_text(encoding="utf-8")
        yield path, text.count("\n"), len(text)


def _without_this_machine(screen: str) -> str:
    """Return what pytest wrote below its header, without times, folders, and the rules that they shorten."""
    shown = screen[screen.index("collected ") :]
    lines = [line for line in shown.splitlines(keepends=True) if " report: " not in line and "xml file" not in line]
    return _RULES.sub(lambda found: found[1] * 3, _TIMES.sub("0.00s", "".join(lines)))


def screen_of(run: Run, width: int) -> str:
    """Return the summary of a run on a screen, with the colours of its statuses as a letter before each line."""
    letters = {"": " ", "green": "+", "yellow": "!", "red": "x"}
    lines = summary(run, width)
    return "".join(f"{letters[line.colour]} {line.text}{line.status}".rstrip() + "\n" for line in lines)
