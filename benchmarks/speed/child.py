"""One process of a benchmark: build and count one model in one way, the first time and again, and print the seconds.

``python -m benchmarks.speed.child WAY MODEL [REPEATS]``. Everything that either side needs is imported before the clock
starts; what counting itself imports later is part of its first time.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import statistics
import sys
import warnings

import pyperf

from benchmarks.speed.models import MODELS
from benchmarks.speed.ways import WAYS


def main(way: str, model: str, repeats: int) -> dict[str, float | str]:
    warnings.simplefilter("ignore")
    factory, make = MODELS[model]
    x, count = make(), WAYS[way]
    factory()  # imports what the model needs
    seconds = []
    silenced = io.StringIO()
    for _ in range(1 + repeats):
        start = pyperf.perf_counter()
        with contextlib.redirect_stdout(silenced), contextlib.redirect_stderr(silenced):
            count(factory, x)
        seconds.append(pyperf.perf_counter() - start)
    return {"first": seconds[0], "again": statistics.median(seconds[1:]) if repeats else seconds[0]}


if __name__ == "__main__":
    for module in ("pytest_modelbudget.counting", "torch.utils.flop_counter", sys.argv[1]):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    try:
        result = main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3)
    except Exception as error:
        result = {"error": type(error).__name__}
    print(json.dumps(result))
