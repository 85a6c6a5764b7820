"""Operators that change the metadata of shape tensors in place."""

from __future__ import annotations

import torch

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

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4 + 3 * 4 * 6 + 3 * 6 * 2


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
