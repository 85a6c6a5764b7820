"""Count in two checkouts by turns, in a process of each: CPU time, and how much slower this one is.

Build and count, the first time and again, and count an instance that has its weights.

``python -m benchmarks.speed.against ../before [--rounds 60] [MODEL ...]``. What disturbs the machine meanwhile disturbs
both, so that the median of the pairs tells differences of a few percent apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tabulate import tabulate

from benchmarks.speed.models import MODELS

_HERE = Path(__file__).parents[2]
_CHILD = """
import sys, time, warnings
warnings.simplefilter("ignore")
import pytest_modelbudget.counting
from benchmarks.speed.models import MODELS
from benchmarks.speed.ways import ours
factory, make = MODELS[sys.argv[1]]
x = make()
given = {"factory": factory, "instance": factory().eval()}
print("ready", flush=True)
for line in sys.stdin:
    start = time.process_time()
    ours(given[line.strip()], x)
    print(time.process_time() - start, flush=True)
"""


class Child:
    """A process that counts a model with the plugin of one checkout, for each line that it is sent."""

    def __init__(self, checkout: Path, model: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, model],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._line()

    def milliseconds(self, given: str) -> float:
        """Count what is ``given``: ``"factory"`` or ``"instance"``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{given}\n")
        self._process.stdin.flush()
        return float(self._line()) * 1e3

    def end(self) -> None:
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def slower(before: list[float], now: list[float]) -> str:
    """Return the medians of both, that of the ratios of the pairs, and the ratio of the sums.

    In the sums is what collects the garbage that a run leaves, once in a hundred runs.
    """
    ratio = statistics.median(new / old for old, new in zip(before, now, strict=True))
    in_all = sum(now) / sum(before)
    return f"{statistics.median(before):.1f}, {statistics.median(now):.1f} ({ratio - 1:+.1%}, {in_all - 1:+.1%})"


def compare(before: Path, model: str, rounds: int, processes: int) -> list[str]:
    """Return a row: the first time in a process, again, and an instance again."""
    columns: list[tuple[list[float], list[float]]] = [([], []), ([], []), ([], [])]
    first, again, instance = columns
    for process in range(processes):
        children = [Child(before, model), Child(_HERE, model)]
        for side in _turns(process):
            first[side].append(children[side].milliseconds("factory"))
            children[side].milliseconds("instance")
        for number in range(rounds):
            for side in _turns(process + number):
                again[side].append(children[side].milliseconds("factory"))
            for side in _turns(process + number):
                instance[side].append(children[side].milliseconds("instance"))
        for child in children:
            child.end()
    return [model, *(slower(*column) for column in columns)]


def _turns(number: int) -> tuple[int, int]:
    return (0, 1) if number % 2 else (1, 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("before", type=Path)
    parser.add_argument("models", nargs="*", default=sorted(MODELS))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--processes", type=int, default=5)
    options = parser.parse_args()
    rows = [compare(options.before.resolve(), model, options.rounds, options.processes) for model in options.models]
    print(tabulate(rows, ["model", "first, before and now", "again", "an instance, again"], tablefmt="github"))


if __name__ == "__main__":
    main()
