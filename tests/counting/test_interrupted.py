"""An interrupt at any bytecode of a measurement leaves nothing behind."""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import init

import pytest_modelbudget
from pytest_modelbudget.counting import force_real_run, measure
from pytest_modelbudget.counting.torch_private import current_dispatch_modes, local_dispatch_keys, sees_torch_functions

OURS = str(Path(pytest_modelbudget.__file__).parent)
PLACES: list[Any] = [torch.Tensor, torch, torch.jit, torch.export, init, nn.Module, threading.Thread]


def handler(*_: Any) -> None:
    raise TimeoutError("time limit")


@contextmanager
def interrupted_at(number: int) -> Iterator[list[Any]]:
    """Raise as the handler of a time limit does, before that bytecode of the package; count the bytecodes."""
    passed: list[Any] = [0]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            passed[0] += 1
            if passed[0] == number:
                passed.extend(
                    (frame.f_code.co_qualname if hasattr(frame.f_code, "co_qualname") else "", frame.f_lineno)
                )
                sys.settrace(None)
                handler()
        return trace

    before, traced = signal.signal(signal.SIGTERM, handler), sys.gettrace()
    sys.settrace(trace)
    try:
        yield passed
    finally:
        sys.settrace(traced)
        signal.signal(signal.SIGTERM, before)


def state() -> dict[str, Any]:
    return {
        "attributes": [{name: id(value) for name, value in vars(place).items()} for place in PLACES],
        "modes": [*current_dispatch_modes(), sees_torch_functions()],
        "keys": tuple(map(str, local_dispatch_keys())),
        "settings": (
            gc.isenabled(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.backends.mha.get_fastpath_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
            torch.backends.mkldnn.enabled,
        ),
        "random": (torch.get_rng_state().tolist(), random.getstate()),
        "handlers": signal.getsignal(signal.SIGINT),
    }


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.norm(self.linear(x)).relu()


NET = Net()
X = torch.zeros(2, 8)
WAYS: dict[str, Callable[[], Any]] = {
    "instance": lambda: measure(NET, X),
    "factory": lambda: measure(Net, X),
    "training": lambda: measure(NET, X, backward=True),
}
PARTS, ALL_PARTS = 20, 60


@pytest.mark.parametrize("run", [nullcontext, force_real_run], ids=["shape", "real"])
@pytest.mark.parametrize("way", WAYS)
def test_a_time_limit_at_any_moment(way: str, run: Any, pytestconfig: pytest.Config) -> None:
    parts = ALL_PARTS if pytestconfig.getoption("--full-matrix") else PARTS
    weights = {name: value.clone() for name, value in NET.state_dict().items()}
    with run():
        WAYS[way]()
        with interrupted_at(-1) as passed:
            WAYS[way]()
        before = state()
        for part in range(parts):
            number = 1 + part * passed[0] // parts
            with interrupted_at(number) as reached:
                raised = False
                try:
                    WAYS[way]()
                except TimeoutError:
                    raised = True
                ended = state()
            assert raised or reached[0] < number, f"the time limit was lost at {reached[1:]}"
            assert ended == before, reached[1:]
            assert NET.calls == 0
            assert all(torch.equal(value, weights[name]) for name, value in NET.state_dict().items())
    assert WAYS[way]().macs == 128  # 2 rows x 8 x 8
