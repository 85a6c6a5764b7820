"""500 measured tests of about 100 ms each: one process against two workers, in alternation; the reports must be equal.

``python -m benchmarks.speed.workers [--rounds 3]``
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyperf

SUITE = """
import time
import pytest
from torch import nn

@pytest.mark.parametrize("width", range(1, 501))
def test_model(model_budget, width):
    time.sleep(0.1)
    model_budget(lambda: nn.Sequential(nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 2)), input_size=(1, width),
                 name=f"model_{width:03}", macs=10_000)
"""


def run(folder: str, *options: str) -> tuple[float, str]:
    start = pyperf.perf_counter()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    seconds = pyperf.perf_counter() - start
    return seconds, re.split("=+ model budgets =+", done.stdout)[1].rsplit("\n=", 1)[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_suite.py").write_text(SUITE)
        pairs = [(run(folder, "-n0"), run(folder, "-n2")) for _ in range(parser.parse_args().rounds)]
    assert all(one[1] == two[1] for one, two in pairs), "the reports differ"
    alone, shared = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    print(f"500 tests: {alone:.1f} s in one process, {shared:.1f} s with -n2: {alone / shared:.2f}x; reports identical")


if __name__ == "__main__":
    main()
