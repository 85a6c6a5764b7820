"""Reading and checking the lock file of 300 models: ResNet-50 each, and 300 modules each of which no two are alike.

``python -m benchmarks.speed.lock [--rounds 10]``
"""

from __future__ import annotations

import argparse

import pyperf
from msgspec import structs
from tabulate import tabulate
from torch import nn

from benchmarks.speed.models import MODELS
from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.results.baseline import Lock, LockedModel, read_lock, write_lock


def uneven() -> nn.Module:
    return nn.Sequential(*[nn.Linear(width, width + 1) for width in range(8, 307)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    factory, image = MODELS["resnet50"]
    cases: dict[str, Measurement] = {
        "resnet50": measure(factory, (image(),), name="resnet50"),
        "300 modules, none alike": measure(uneven, input_size=(1, 8), name="uneven"),
    }
    rows = []
    for name, measurement in cases.items():
        one = LockedModel.of(measurement)
        text = write_lock(structs.replace(Lock(), models={f"model{number}": (one,) for number in range(300)}))
        times = []
        for _ in range(rounds):
            start = pyperf.perf_counter()
            read_lock(text, "lock", 2)
            times.append(pyperf.perf_counter() - start)
        alone = write_lock(structs.replace(Lock(), models={"model": (one,)}))
        rows.append((name, len(alone.splitlines()), f"{len(text):,}", f"{min(times) * 1e3:.0f}"))
    print(tabulate(rows, ("300 x", "lines of one", "bytes", "read, ms"), tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
