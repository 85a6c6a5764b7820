"""What an observing mark adds to a test that runs its model for real, side by side in one process.

``python -m benchmarks.speed.observing``
"""

from __future__ import annotations

import statistics

import pyperf
import torch

from benchmarks.speed.models import MODELS
from pytest_modelbudget.counting import observe


def main() -> None:
    for name in ("resnet50", "vit_l_16"):
        factory, make = MODELS[name]
        model, x = factory().eval(), make()
        pairs = []
        with torch.no_grad():
            for _ in range(12):
                start = pyperf.perf_counter()
                model(x)
                middle = pyperf.perf_counter()
                with observe():
                    model(x)
                pairs.append((middle - start, pyperf.perf_counter() - middle))
        ratio = statistics.median(observed / bare for bare, observed in pairs[2:])
        bare = statistics.median(bare for bare, _ in pairs[2:]) * 1e3
        print(f"{name}: {100 * (ratio - 1):+.1f}% over {bare:.0f} ms")


if __name__ == "__main__":
    main()
