"""Shape tensors: operators that change their metadata in place, and the attributes that models give them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure

from .model import Model, both, rows


def test_t_changes_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)  # (3, 4): 3 * 4 * 4
        y.t_()
        return y @ rows(3)  # (4, 3) @ (3, 4): 4 * 3 * 4

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 4 * 3 * 4


def test_transpose_squeeze_and_unsqueeze_change_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        y.unsqueeze_(0).transpose_(1, 2).squeeze_(0)
        assert y.shape == (4, 5)
        return y @ rows(5)

    assert both(forward, rows(5)).macs == 5 * 4 * 4 + 4 * 5 * 4


def test_resize_changes_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x).detach()
        y.resize_(7, 4)
        return self.linear(y)

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 7 * 4 * 4


def test_out_resizes_its_target() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = torch.empty(0)
        with torch.no_grad():
            torch.mm(self.linear(x), torch.ones(4, 6), out=y)
        assert y.shape == (3, 6)
        return y @ torch.ones(6, 2)

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 3 * 4 * 6 + 3 * 6 * 2


def test_out_fills_a_shape_tensor_of_the_right_size() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = torch.empty(3, 6)
            torch.mm(self.linear(x), torch.ones(4, 6), out=y)
            return y @ torch.ones(6, 2)

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 3 * 4 * 6 + 3 * 6 * 2


def test_assigning_data_changes_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x).detach()
        y.data = self.linear(rows(9)).detach()
        return self.linear(y)

    assert both(forward, rows(3)).macs == (3 + 9 + 9) * 4 * 4


CARRIED: dict[str, Callable[[torch.Tensor, torch.Tensor], object]] = {
    "update": lambda x, y: y.__dict__.update(x.__dict__),
    "setattr": lambda x, y: [setattr(y, name, value) for name, value in vars(x).items()],
    "replace": lambda x, y: setattr(y, "__dict__", dict(vars(x))),
}


@pytest.mark.parametrize("way", CARRIED)
@pytest.mark.parametrize("of", ["input", "weight", "view"])
def test_attributes_carried_from_tensor_to_tensor(way: str, of: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        sources = {"input": x, "weight": self.linear.weight, "view": self.linear.weight[:1]}
        sources[of].tag = "a"
        y = torch.cat([x, x])
        CARRIED[way](sources[of], y)
        assert vars(y) == {"tag": "a"}
        assert not isinstance(y, nn.Parameter)
        return self.linear(y)

    for given in (Model(forward), lambda: Model(forward)):
        found = measure(given, torch.ones(3, 4))
        assert (found.run, found.macs) == ("shape", 6 * 4 * 4)


@pytest.mark.parametrize("of", ["buffer", "weight"])
def test_tensors_that_the_forward_swaps(of: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        if of == "buffer":
            torch.utils.swap_tensors(self.k, torch.full((1,), 3.0))
        else:
            torch.utils.swap_tensors(self.k, nn.Parameter(torch.full((1,), 3.0)))
        for _ in range(int(self.k.item())):
            x = self.linear(x)
        return x

    model = Model(forward)
    if of == "buffer":
        model.register_buffer("k", torch.ones(1))
    else:
        model.k = nn.Parameter(torch.ones(1))
    assert measure(model, torch.ones(3, 4)).macs == 3 * 3 * 4 * 4
    assert (model.k.tolist(), type(model.k)) == ([1], torch.Tensor if of == "buffer" else nn.Parameter)


def test_copies_of_weights_are_weights_of_their_own() -> None:
    def built() -> nn.Module:
        model = Model(lambda self, x: self.twin(self.linear(x)))
        model.linear.weight.tag = ["a"]
        model.twin = copy.deepcopy(model.linear)
        assert isinstance(model.twin.weight, nn.Parameter)
        assert vars(model.twin.weight) == {"tag": ["a"]} or type(model.twin.weight) is nn.Parameter
        return model

    assert measure(built, torch.ones(3, 4)).params == 2 * (4 * 4 + 4)
