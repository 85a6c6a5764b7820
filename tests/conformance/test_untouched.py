"""The memory of tensors without values is never touched: every case is counted where touching it crashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Protected, the reservation can neither be read nor written: whatever touches it ends the process with a signal.
EVERY_CASE = """
import ctypes, warnings
from pytest_modelbudget.counting import measure
from pytest_modelbudget.counting.shape_run import reserved_memory
from conformance.cases import CASES
from conformance.checks import mode_of
from conftest import KNOWN, known_failures

warnings.simplefilter("ignore")
protect = ctypes.CDLL(None).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
assert protect(reserved_memory.FIRST, reserved_memory.BEHIND - reserved_memory.FIRST, 0) == 0
failing = {name.partition("[")[2][:-1] for name, _ in known_failures(KNOWN.read_text(encoding="utf-8"))}
runs = []
for case in CASES:
    if case.unavailable or case.name in failing: continue  # what an older torch lacks
    instance = case.model()
    for model in (case.build, instance):
        args, kwargs = case.inputs()
        backward = case.training_macs is not None
        found = measure(model, args, kwargs, train=mode_of(instance), backward=backward)
        assert (found.macs, found.training_macs) == (case.macs, case.training_macs), case.name
        runs.append(found.run)
print(runs.count("shape"), len(runs))
"""

WITHIN_A_LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
import torch
from torch import nn
from pytest_modelbudget.counting import measure

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(16384, 53248, bias=False), nn.Linear(53248, 16384, bias=False)
    def forward(self, x): return x + self.down(self.up(x))

def build(): return nn.Sequential(nn.Embedding(128256, 16384), *[Block() for _ in range(126)])

found = measure(build, torch.zeros(1, 4096, dtype=torch.int64))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(found.run, found.macs, peak < 2 << 20)
"""


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    folder = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect of Linux")
def test_no_case_touches_the_reservation() -> None:
    by_shapes, in_all = map(int, run(EVERY_CASE).split())
    assert by_shapes > 0.8 * in_all


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
def test_half_a_terabyte_of_weights_within_a_limit_of_the_address_space() -> None:
    # 126 blocks x 4096 tokens x 2 products of 16384 and 53248
    assert run(WITHIN_A_LIMIT).split() == ["shape", str(126 * 4096 * 2 * 16384 * 53248), "True"]
