"""Models whose attributes are not what they look like: nothing is asked of a model that it might answer in its own way."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.counting import force_real_run, observe
from pytest_modelbudget.counting.observing.calls import MethodCall

X = torch.zeros(1, 4)


class Settings(nn.Module):
    """Finds what it does not have in a dict, once it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.settings: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "settings"):
            return super().__getattr__(name)
        return self.settings[name]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class Labelled(nn.Linear):
    original_name = "a label of its own"
    inlined_graph = "no graph"
    _orig_mod = "no module"

    def __init__(self) -> None:
        super().__init__(4, 4)


@pytest.mark.parametrize("kind", [Settings, Labelled])
def test_measured_in_every_way(kind: Callable[[], nn.Module]) -> None:
    found = [measure(kind(), X), measure(kind, X), measure(nn.Sequential(kind()), X).modules.children[0]]
    with force_real_run():
        found.append(measure(kind(), X))
    with observe() as seen:
        kind()(X)
        kind().forward(X)
    assert seen.faults == []
    found += seen.measurements
    macs = [one.total.macs if hasattr(one, "total") else one.macs for one in found]
    names = [one.cls if hasattr(one, "cls") else one.name for one in found]
    assert (names, macs) == ([kind.__name__] * 6, [16] * 6)


def test_modules_that_make_their_attributes_are_not_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise ImportError(f"{name} needs what is not installed")

    asked: list[str] = []
    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(globals(), "lazy", sys.modules["lazy"])

    class Chooses(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.dim() == 5 and type(x) is lazy.Kind:  # type: ignore[name-defined]  # noqa: F821
                return x
            return super().forward(x)

    assert measure(Chooses(4, 4), X).macs == 16
    assert "Kind" not in asked


def test_a_cost_that_cannot_be_summed_up_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def result(self: MethodCall, flops_per_mac: int) -> Any:
        raise RuntimeError("no sum")

    monkeypatch.setattr(MethodCall, "result", result)
    with observe() as seen:
        Settings().forward(X)
    assert seen.faults == ["what Settings cost is not known: RuntimeError: no sum"]
