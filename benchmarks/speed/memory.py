"""What following the memory adds to a measurement: with and without it, in turns, in one process.

``python -m benchmarks.speed.memory [--rounds 30] [--models resnet50,gpt2]``
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from tabulate import tabulate

from benchmarks.speed.models import MODELS
from pytest_modelbudget import measure


def seconds(model: Any, x: Any, memory: bool) -> float:
    """Return the CPU seconds of one measurement."""
    begun = time.process_time()
    measure(model, x, memory=memory)
    return time.process_time() - begun


def added(model: Any, x: Any, rounds: int) -> tuple[float, float]:
    """Return the medians of a measurement without and with memory."""
    seconds(model, x, memory=True)
    pairs = [(seconds(model, x, memory=False), seconds(model, x, memory=True)) for _ in range(rounds)]
    without, with_memory = zip(*pairs, strict=True)
    return statistics.median(without), statistics.median(with_memory)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--models", default="resnet50,mobilenetv2,vit_b_16,convnext,bert,gpt2")
    options = parser.parse_args()
    rows = []
    for name in options.models.split(","):
        factory, inputs = MODELS[name]
        x = inputs()
        row = [name]
        for model in (factory, factory().eval()):
            before, after = added(model, x, options.rounds)
            row += [f"{before * 1e3:.1f}", f"{after * 1e3:.1f}", f"{after / before - 1:+.0%}"]
        rows.append(row)
    print(tabulate(rows, ["", "built, ms", "memory", "", "instance, ms", "memory", ""]))


if __name__ == "__main__":
    main()
