"""What ends a shape run, even where the model swallows it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pytest_modelbudget.counting import measure

from .model import Model, both, rows


@pytest.mark.parametrize(
    "asks",
    [
        lambda y: y.sum().item(),
        lambda y: y.tolist(),
        lambda y: y.numpy(),
        lambda y: str(y),
        lambda y: f"{y.sum():.3f}",
        lambda y: y.nonzero(),
        lambda y: bool(y.sum() > 0),
        lambda y: torch.equal(y, y),
        lambda y: y[y > 0],
        lambda y: y.data_ptr(),
        lambda y: torch.unique(y),
        lambda y: [*range(int(y.sum().abs().clamp(max=1)))],
    ],
)
@pytest.mark.parametrize("swallowed", [Exception, BaseException])
def test_a_swallowed_request_for_values_still_leads_to_a_real_run(asks: Any, swallowed: type[BaseException]) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = self.linear(x)
        try:
            asks(y)
        except swallowed:
            return x
        return self.linear(x)

    assert both(forward, rows(3), run="real").macs == 2 * 3 * 4 * 4


def test_an_exception_of_an_operator_voids_the_shape_run_even_if_caught() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        try:
            return x @ torch.ones(5, 5)
        except RuntimeError:
            return self.linear(x)

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_products_of_differing_dtypes_are_refused_as_in_a_real_run() -> None:
    model = Model(lambda self, x: x.half() @ self.linear.weight)
    with pytest.raises(RuntimeError, match="dtype"):
        measure(model, rows(3))
