"""What the plugin adds to pytest's start, and to 1 000 empty tests: processes with it and without, in alternation.

``python -m benchmarks.speed.startup [--processes 15]``
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyperf

COUNT = "import sys, pytest; pytest.main({arguments!r}); print('MODULES', len(sys.modules))"


def run(folder: str, arguments: list[str]) -> tuple[float, int]:
    start = pyperf.perf_counter()
    command = [sys.executable, "-c", COUNT.format(arguments=arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return pyperf.perf_counter() - start, int(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=15)
    processes = parser.parse_args().processes
    for tests in (1, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            body = "\n".join(f"def test_{number}(): pass" for number in range(tests))
            Path(folder, "test_empty.py").write_text(body)
            base = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:benchmark"]
            without = [*base, "-p", "no:modelbudget"]
            pairs = [(run(folder, base), run(folder, without)) for _ in range(processes + 1)][1:]
        added = statistics.median(ours[0] - bare[0] for ours, bare in pairs) * 1e3
        bare = statistics.median(bare[0] for _, bare in pairs) * 1e3
        modules = pairs[0][0][1] - pairs[0][1][1]
        print(f"{tests:>5} tests: {bare:.0f} ms without, {added:+.1f} ms with the plugin, {modules:+d} modules")


if __name__ == "__main__":
    main()
