"""A model whose forward a test writes as a function, measured by shapes and for real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure
from pytest_modelbudget.measurement import Measurement


class Model(nn.Module):
    """A linear map of 4 features to 4, and a forward given as a function of the module and its inputs."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.function = forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def both(forward: Callable[..., Any], *args: Any, run: str = "shape") -> Measurement:
    """Measure a model by shapes (``run`` says where that must end) and for real, and check that they agree."""
    torch.manual_seed(0)
    model = Model(forward)
    found = measure(model, args)
    with force_real_run():
        real = measure(model, args)
    assert found.run == run
    assert found.macs == real.macs
    return found


def rows(count: int) -> torch.Tensor:
    return torch.ones(count, 4)
