"""What is active around a measurement, or entered in it, changes no count and sees nothing of the run's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_modelbudget.counting import force_real_run, measure, observe


class Listening(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.heard: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.heard.append(torch.overrides.resolve_name(func) or str(func))
        return func(*args, **(kwargs or {}))


class Entering(nn.Module):
    """Enters modes of its own; 8 x 8 MACs a row."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.device("cpu"), Listening():
            mask = torch.zeros(8)
            mask[0] = 1.0
            return self.linear(x) * mask.sum().item()


@pytest.mark.parametrize("run", [nullcontext, force_real_run])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_default_device(device: str, run: Callable[[], AbstractContextManager[None]]) -> None:
    model = nn.Linear(8, 8)
    torch.set_default_device(device)
    try:
        with run():
            found = measure(model, torch.zeros(1, 8, device="cpu"))
    finally:
        torch.set_default_device(None)
        vars(torch._GLOBAL_DEVICE_CONTEXT).pop("device_context", None)  # torch 2.6 would ask None for its device
    assert found.macs == 64  # 1 row x 8 x 8
    assert found.run == ("shape" if run is nullcontext else "real")


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_factory_in_a_device_context(device: str) -> None:
    with torch.device(device):
        found = measure(lambda: nn.Linear(8, 8), input_size=(1, 8))
    assert (found.macs, found.run) == (64, "shape")


@pytest.mark.parametrize("run", [nullcontext, force_real_run])
def test_modes_that_the_forward_enters(run: Callable[[], AbstractContextManager[None]]) -> None:
    model, x = Entering(), torch.zeros(1, 8)
    with run():
        found = measure(model, x)
    assert (found.macs, found.run) == (64, "shape" if run is nullcontext else "real")


@pytest.mark.parametrize("run", [nullcontext, force_real_run])
def test_a_mode_hears_what_the_model_does_and_nothing_else(run: Callable[[], AbstractContextManager[None]]) -> None:
    model, x = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), torch.zeros(1, 8)
    with torch.no_grad(), Listening() as alone:
        model(x)
    with run(), Listening() as around:
        measure(model, x)
    assert around.heard == alone.heard


def test_a_mode_hears_the_same_while_a_test_is_observed() -> None:
    model, x = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), torch.zeros(1, 8)
    with Listening() as alone:
        model(x)
    with observe() as seen, Listening() as observed:
        model(x)
    with Listening() as around, observe() as seen_within:
        model(x)
    assert observed.heard == around.heard == alone.heard
    assert [one.macs for one in (*seen.measurements, *seen_within.measurements)] == [64, 64]
