"""Memory from pass to pass over all architectures of the conformance suite.

``python -m benchmarks.speed.growth``: resident memory after each pass, and the number of remembered calls.
"""

from __future__ import annotations

import gc
import os
import warnings
from pathlib import Path

from pytest_modelbudget import measure
from pytest_modelbudget.counting.shape_run.memo import number_of_outcomes
from tests.conformance.architectures import ARCHITECTURES
from tests.conformance.test_architectures import factory


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    warnings.simplefilter("ignore")
    for number in range(1, 5):
        for architecture in ARCHITECTURES:
            measure(factory(architecture, tiny=True), kwargs=architecture.inputs(architecture.config(tiny=True)))
        gc.collect()
        print(f"pass {number}: {resident():.0f} MB resident, {number_of_outcomes():,} calls remembered")


if __name__ == "__main__":
    main()
