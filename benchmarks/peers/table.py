"""The table of the comparison, and its place in the README of the conformance suite."""

from __future__ import annotations

import datetime
import platform
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "tests" / "conformance" / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PACKAGES = ("torch", "fvcore", "ptflops", "thop", "torchinfo", "calflops", "torchprofile")
Answers = dict[str, dict[str, dict[str, Any]]]


def verdict(answer: dict[str, Any], truth: int) -> str:
    """Return ``right``, ``wrong``, ``zero`` (a silent one) or ``error``."""
    if "macs" not in answer:
        return "error"
    if answer["macs"] == truth:
        return "right"
    return "wrong" if answer["macs"] else "zero"


def rows(answers: Answers, truth: dict[str, int]) -> list[str]:
    lines = []
    for counter, by_case in answers.items():
        found = Counter(verdict(answer, truth[name]) for name, answer in by_case.items())
        model = sum(bool(answer.get("model changed")) for answer in by_case.values())
        torch_itself = sum(bool(answer.get("torch changed")) for answer in by_case.values())
        figures = (found["right"], found["wrong"], found["zero"], found["error"], model, torch_itself)
        lines.append(f"| {counter} | " + " | ".join(map(str, figures)) + " |")
    return lines


def text(answers: Answers, truth: dict[str, int]) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    header = "| counter | exactly right | wrong | silent zero | error | model left changed | torch left changed |"
    return "\n".join(
        [
            f"{len(truth)} cases, one input each. Made by `python -m benchmarks.peers` on {datetime.date.today()}, "
            f"CPU, Python {platform.python_version()}, {versions}.",
            "",
            header,
            "|---|--:|--:|--:|--:|--:|--:|",
            *rows(answers, truth),
        ]
    )


def write(answers: Answers, truth: dict[str, int]) -> None:
    """Print the table and put it into the README, between its marks."""
    table = text(answers, truth)
    print(table)
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
