"""What it costs to send a measurement from a worker to the controller: encode, bytes, receive, and decode when read.

``python -m benchmarks.speed.transport [--rounds 50]``
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pyperf
import torch
from tabulate import tabulate
from torch import nn

from benchmarks.speed.models import LARGE, MODELS, Factory, tokens
from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.budgets import Budget, judge
from pytest_modelbudget.results import Result, TestResult, decode, encode


class Uneven(nn.Module):
    """1 000 pairs of a layer and a norm, no two alike: nothing folds. With the model itself 2 001 modules."""

    def __init__(self) -> None:
        super().__init__()
        widths = range(8, 1009)
        self.layers = nn.Sequential(*[part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.LayerNorm(b))])

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x)


def measured() -> dict[str, Measurement]:
    cases: dict[str, tuple[Factory, object]] = {
        name: (factory, inputs()) for name, (factory, inputs) in MODELS.items() if name in ("resnet50", "bert")
    }
    cases["llama-70b"] = (LARGE["llama-70b"], tokens(128))
    found = {name: measure(factory, (inputs,), name=name) for name, (factory, inputs) in cases.items()}
    found["2 001 modules, none alike"] = measure(Uneven, input_size=(1, 8))
    return found


def milliseconds(function: Callable[[], object], rounds: int) -> float:
    """Return the least of ``rounds`` times."""
    times = []
    gc.disable()
    for _ in range(rounds):
        start = pyperf.perf_counter()
        function()
        times.append(pyperf.perf_counter() - start)
    gc.enable()
    return min(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    rows = []
    for name, measurement in measured().items():
        verdict = judge(measurement, Budget())
        data = encode(TestResult((Result.of(verdict, measurement),)))
        result = decode(data).results[0]
        assert result.measurement == measurement
        rows.append(
            (
                name,
                sum(1 for _ in measurement.modules.walk()),
                f"{milliseconds(lambda m=measurement, v=verdict: encode(TestResult((Result.of(v, m),))), rounds):.2f}",
                f"{len(data):,}",
                f"{len(msgspec.json.encode(measurement)):,}",
                f"{milliseconds(lambda d=data: decode(d), rounds):.3f}",
                f"{milliseconds(lambda r=result: r.measurement, rounds):.2f}",
            )
        )
    headers = ("model", "modules", "encode, ms", "bytes", "bytes unfolded", "receive, ms", "decode when read, ms")
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
