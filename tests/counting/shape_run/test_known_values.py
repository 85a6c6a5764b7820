"""What a shape run knows, and what it no longer knows once unknown values were written into it."""

from __future__ import annotations

import torch

from pytest_modelbudget.counting import measure

from .model import Model, both, rows


def test_values_of_masks_and_positions_are_known() -> None:
    def forward(self: Model, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if mask.all().item():
            return x
        return self.linear(x[mask])

    mask = torch.tensor([True, False, True])
    assert both(forward, rows(3), mask).macs == 2 * 4 * 4


def test_a_weight_written_into_a_real_tensor_makes_it_unknown() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(5, 4)
        cache[:3] = self.linear(x)
        return self.linear(x) if cache.sum() > 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_a_write_through_a_view_makes_the_base_and_its_other_views_unknown() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(5, 4)
        top, bottom = cache[:3], cache[2:]
        top.copy_(self.linear(x).detach())
        return self.linear(x) if bottom.sum() > 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_a_full_fill_makes_a_tensor_known_again() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(3, 4)
        cache.copy_(self.linear(x).detach())
        cache.fill_(1)
        return self.linear(x) if cache.sum() == 12 else x

    assert both(forward, rows(3)).macs == 2 * 3 * 4 * 4


def test_a_partial_fill_does_not() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(3, 4)
        cache.copy_(self.linear(x).detach())
        cache[:2].fill_(1)
        return self.linear(x) if cache.sum() > 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_random_numbers_are_not_known() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if torch.rand(()) < 2 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_a_write_of_the_forward_into_an_integer_buffer_is_undone() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        return self.linear(x) if self.steps == 1 else x

    model = Model(forward)
    model.register_buffer("steps", torch.zeros((), dtype=torch.long))
    for _ in range(2):
        assert measure(model, rows(3)).macs == 3 * 4 * 4
    assert int(model.steps) == 0


def test_set_from_a_storage_gives_a_real_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = torch.empty(0).set_(torch.ones(3, 4).untyped_storage(), 0, (3, 4))
        return self.linear(x) if y.sum() == 12 else x

    assert both(forward, rows(3)).macs == 3 * 4 * 4


def test_the_value_of_a_weight_that_an_instance_has_is_known() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if self.linear.bias[0].item() < 1e9 else x

    assert both(forward, rows(3)).macs == 3 * 4 * 4


def test_a_profiled_forward_is_a_shape_run() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.profiler.record_function("linear"):
            return self.linear(x)

    assert both(forward, rows(3)).macs == 3 * 4 * 4


def test_a_known_mask_selects_a_known_number() -> None:
    def forward(self: Model, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.masked_select(x, mask).view(-1, 4))

    mask = torch.tensor([[True], [False], [True]])
    assert both(forward, rows(3), mask).macs == 2 * 4 * 4
