"""Nobody has to provide the memory of tensors without values, and profilers do not take it for an allocation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("memray", reason="memray is not for Windows")

MEASURES_32_GB = """
import sys
import memray, torch
with memray.Tracker(sys.argv[1]):
    from pytest_modelbudget.counting import measure  # reserves the memory
    factory = lambda: torch.nn.Sequential(*[torch.nn.Linear(20_000, 20_000) for _ in range(20)])
    found = measure(factory, torch.ones(1, 20_000))
assert (found.macs, found.run) == (20 * 20_000**2, "shape")
print(memray.FileReader(sys.argv[1]).metadata.peak_memory)
"""


def test_memray_sees_no_allocation_for_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURES_32_GB, str(tmp_path / "allocations.bin")]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert peak < 50e6  # the engine itself; the weights would take 32 GB
