"""DistributedDataParallel: what it wraps is measured, and its own bookkeeping stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.counting import force_real_run

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # torch.distributed's own
    pytest.mark.usefixtures("world_of_one"),
]


@pytest.fixture
def world_of_one(tmp_path: Path) -> Iterator[None]:
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("torch was built without gloo")
    torch.distributed.init_process_group("gloo", init_method=(tmp_path / "store").as_uri(), rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


class Net(nn.Module):
    """4 rows of Linear(8, 16) and Linear(16, 8): 1024 MACs; the first needs no gradient of the input: 2560 in training."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(x).relu())


class Holds(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.inner = nn.parallel.DistributedDataParallel(Net(), **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("options", [{}, {"find_unused_parameters": True}, {"static_graph": True}])
def test_the_training_of_what_it_wraps_is_measured_and_goes_on(options: Any, trained: bool, real: bool) -> None:
    x, outer = torch.ones(4, 8), Holds(**options)
    for model in (outer, outer.inner):
        if trained:
            model(x).sum().backward()
        with force_real_run() if real else nullcontext():
            found = measure(model, x, backward=True)
        assert (found.macs, found.training_macs) == (1024, 2560)
        for _ in range(2):
            model.zero_grad()
            model(x).sum().backward()
            assert outer.inner.module.up.weight.grad is not None
    assert "forward" not in vars(outer.inner)


def test_a_factory_of_one() -> None:
    found = measure(lambda: nn.parallel.DistributedDataParallel(Net()), torch.ones(4, 8), backward=True)
    assert (found.name, found.training_macs) == ("Net", 2560)
