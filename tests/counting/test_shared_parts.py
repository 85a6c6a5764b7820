"""What a model that a factory builds shares with others is as it was before."""

from __future__ import annotations

from collections import OrderedDict, deque
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

from .shape_run.model import Model, rows
from .test_restored_objects import ONE


def test_a_model_that_existed_before_its_factory_is_as_it_was() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.cache = x
        self.steps.append(x)
        self.count += 1
        self.linear.seen = x
        return self.linear(x)

    model = Model(forward)
    model.steps, model.count = [], 0
    head = nn.Linear(4, 4)

    def mixed() -> nn.Module:
        return nn.Sequential(model, head, nn.Linear(4, 4))

    before = [set(vars(part)) for part in (model, model.linear, head)]
    for run in (False, True):
        for given, macs in ((lambda: model, ONE), (lambda: nn.Sequential(model), ONE), (mixed, 3 * ONE)):
            if run:
                with force_real_run():
                    assert measure(given, rows(3)).macs == macs
            else:
                found = measure(given, rows(3))
                assert (found.macs, found.run) == (macs, "shape")
            assert (model.steps, model.count) == ([], 0)
            assert [set(vars(part)) for part in (model, model.linear, head)] == before
    assert model(rows(3)).sum().item() is not None


REGISTRY: dict[str, Any] = {"calls": 0}


HELD: list[Any] = [
    REGISTRY,
    (REGISTRY,),
    {"table": REGISTRY},
    [REGISTRY],
    deque([REGISTRY]),
    OrderedDict(table=REGISTRY),
]


@pytest.mark.parametrize("held", HELD, ids=lambda held: type(held).__name__)
def test_what_a_model_from_a_factory_shares_with_others_is_as_it_was(held: Any) -> None:
    class Sharing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.held = nn.Linear(4, 4), held

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            table = self.held
            while "calls" not in table:
                table = next(iter(table.values() if isinstance(table, dict) else table))
            table["calls"] += 1
            return self.linear(x)

    for backward in (False, True):
        assert measure(Sharing, rows(3), backward=backward).macs == ONE
        with force_real_run():
            assert measure(Sharing, rows(3), backward=backward).macs == ONE
    assert REGISTRY == {"calls": 0}


def test_a_buffer_of_integers_that_a_built_model_gives_other_data() -> None:
    shared = torch.arange(3)

    class Sharing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("table", shared)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shared.data = torch.zeros(5, dtype=torch.int32)
            return self.linear(x)

    for run in (nullcontext(), force_real_run()):
        with run:
            assert measure(Sharing, rows(3)).macs == ONE
    assert (shared.tolist(), shared.dtype) == ([0, 1, 2], torch.int64)


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_hook_keeps_in_a_module_of_torch(nested: bool) -> None:
    seen: list[Any] = []

    def factory() -> nn.Module:
        layer: Any = nn.Linear(4, 4)
        layer.seen = seen
        layer.register_forward_hook(lambda module, inputs, output: module.seen.append(output))
        return nn.Sequential(layer) if nested else layer

    for run in (nullcontext(), force_real_run()):
        with run:
            assert measure(factory, rows(3)).macs == ONE
    assert seen == []


class Remembering(nn.Module):
    """A module without weights that changes whatever it can of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.calls = None, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen, self.extra = x, x
        self.calls += 1
        self.register_buffer("last", x)
        return x.relu()


def test_modules_without_weights_that_a_built_model_shares() -> None:
    class Training(nn.Sequential):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x) if self.train() else x

    own, of_torch = Remembering(), nn.ReLU()
    shared = nn.Sequential(own, of_torch).eval()
    before = set(vars(own))
    for run in (nullcontext(), force_real_run()):
        with run:
            assert measure(lambda: Training(nn.Linear(4, 4), own, of_torch), rows(3)).macs == ONE
            assert measure(lambda: Training(nn.Linear(4, 4), shared), rows(3)).macs == ONE
    assert (own.seen, own.calls, set(vars(own)), dict(own.named_buffers())) == (None, 0, before, {})
    assert [part.training for part in (own, of_torch, shared)] == [False] * 3
