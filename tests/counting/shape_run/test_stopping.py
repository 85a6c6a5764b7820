"""What ends a shape run, even where the model swallows it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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


def test_a_sparse_tensor_made_of_a_dense_one_has_more_than_a_shape() -> None:
    def forward(self: Model, adjacency: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(adjacency.to_sparse(), self.linear(x))

    # (3, 4) @ (4, 4), and each of the 3 stored elements times 4 columns.
    assert both(forward, torch.eye(3), rows(3), run="real").macs == 3 * 4 * 4 + 3 * 4


def test_a_selection_into_a_given_tensor_changes_its_size() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        selected = x.new_empty(0)
        torch.masked_select(self.linear(x), torch.tensor([[True], [False], [True]]), out=selected)
        return self.linear(selected.view(-1, 4))

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4 + 2 * 4 * 4  # 2 of the 3 rows are selected


class TwiceAsMuch(TorchDispatchMode):
    """Multiplies once more where it sees the product that a linear layer consists of."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out + torch.mm(args[1], args[2]) if func is torch.ops.aten.addmm.default else out


@pytest.mark.parametrize("held", [False, True])
def test_a_mode_of_the_models_own_sees_what_it_would_see_otherwise(held: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        with self.mode if held else TwiceAsMuch():
            return self.linear(x)

    model = Model(forward)
    model.mode = TwiceAsMuch()
    assert measure(model, rows(3)).macs == 2 * 3 * 4 * 4
