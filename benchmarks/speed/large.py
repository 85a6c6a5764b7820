"""Models of hundreds of billions of parameters: build + count, and the peak memory above the imports.

``python -m benchmarks.speed.large``: one fresh process per model.
"""

from __future__ import annotations

import importlib
import resource
import subprocess
import sys

import pyperf


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(name: str) -> None:
    from benchmarks.speed.models import LARGE, tokens
    from pytest_modelbudget import measure

    for module in ("llama", "mixtral", "deepseek_v3"):
        importlib.import_module(f"transformers.models.{module}.modeling_{module}")
    ids, before = tokens(4096), peak()
    start = pyperf.perf_counter()
    found = measure(LARGE[name], ids, name=name)
    seconds = pyperf.perf_counter() - start
    print(
        f"{name}: {seconds:.2f} s, {peak() - before:.0f} MB above {before:.0f} MB of imports, {found.run} run; {found}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1])
    else:
        from benchmarks.speed.models import LARGE

        for name in LARGE:
            subprocess.run([sys.executable, "-m", "benchmarks.speed.large", name], check=True)
