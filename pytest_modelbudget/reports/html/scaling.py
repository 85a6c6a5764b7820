"""What a model costs at a range of sizes, as a line beside the steepest that is allowed; both axes are logarithmic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Final

from pytest_modelbudget.budgets.status import exponent
from pytest_modelbudget.measurement import human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.html.bars import State
from pytest_modelbudget.results.standings import Standing

WIDTH: Final = 320
HEIGHT: Final = 130


@dataclass(frozen=True, slots=True)
class Dot:
    """What a model costs at one size, and where that is drawn."""

    x: str
    y: str
    size: str
    value: str


@dataclass(frozen=True, slots=True)
class Line:
    """One metric over the sizes; ``allowed`` is the height at which the allowed line ends that begins with it."""

    label: str
    title: str
    state: State
    declared: str
    dots: tuple[Dot, ...]
    allowed: str


def lines(one: Standing) -> Iterator[Line]:
    """Yield a line for each metric that is held against a growth with the inputs, but for those that cost nothing."""
    steeper = {problem.metric for problem in one.verdict.problems if problem.kind == "steeper"}
    bad: State = "warn" if one.status.kind == "expected" else "bad"
    for found in one.verdict.scaling:
        points = sorted(found.points)
        if len(points) < 2 or not all(size > 0 and value > 0 for size, value in points):
            continue
        across = [log(size / points[0][0]) for size, _ in points]
        up = [log(value / points[0][1]) for _, value in points]
        end = found.allowed * across[-1]
        low, high = min(0.0, *up, end), max(0.0, *up, end)

        def at(height: float, low: float = low, span: float = high - low or 1.0) -> str:
            return f"{HEIGHT * (1 - (height - low) / span):.1f}"

        dots = [
            Dot(f"{WIDTH * x / (across[-1] or 1.0):.1f}", at(y), f"{size:,}", human(value, found.metric))
            for x, y, (size, value) in zip(across, up, points, strict=True)
        ]
        state = bad if found.metric in steeper else "good"
        yield Line(METRICS[found.metric].label, exponent(found), state, found.declared, tuple(dots), at(end))
