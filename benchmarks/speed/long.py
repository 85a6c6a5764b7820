"""A long model: microseconds per operator, ours against a bare forward on meta tensors, at growing lengths.

``python -m benchmarks.speed.long``
"""

from __future__ import annotations

import pyperf
import torch

from benchmarks.speed.models import Unrolled
from pytest_modelbudget import measure


def main() -> None:
    x = torch.zeros(2, 16)
    measure(Unrolled(10), x)
    for steps in (1_000, 3_000, 10_000):
        model, on_meta = Unrolled(steps), Unrolled(steps).to("meta")
        start = pyperf.perf_counter()
        found = measure(model, x)
        middle = pyperf.perf_counter()
        with torch.no_grad():
            on_meta(x.to("meta"))
        end = pyperf.perf_counter()
        operators = steps * 6  # two transposes, two products, an addition, tanh
        ours, bare = (1e6 * seconds / operators for seconds in (middle - start, end - middle))
        print(
            f"{operators:>7,} operators: {ours:.1f} us each, bare forward on meta {bare:.1f} us ({found.macs:,} MACs)"
        )


if __name__ == "__main__":
    main()
