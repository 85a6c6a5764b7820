"""What the key of a remembered call holds, and what is never remembered."""

from __future__ import annotations

import torch
from torch import nn

from pytest_modelbudget.counting import measure

from .model import Model, both, rows


def test_equal_numbers_of_different_types_are_told_apart() -> None:
    def forward(self: Model, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        floats = torch.empty(3, dtype=torch.long).random_(1, 2)  # unknown integers
        assert (floats + 1).dtype == torch.long
        assert (floats + 1.0).dtype == torch.float
        assert (floats + True).dtype == torch.long
        return self.linear(x)

    both(forward, rows(3), torch.arange(3))


def test_the_default_dtype_belongs_to_the_key() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        seen = []
        for dtype in (torch.float32, torch.float64):
            torch.set_default_dtype(dtype)
            seen.append((torch.randint(9, (3,)) / 2).dtype)
        assert seen == [torch.float32, torch.float64]
        return x

    both(forward, rows(3))
    assert torch.get_default_dtype() is torch.float32


def test_lengths_that_decide_shapes_are_not_remembered() -> None:
    def forward(self: Model, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return self.linear(packed.data)

    x = torch.ones(2, 5, 4)
    assert both(forward, x, torch.tensor([5, 3])).macs == 8 * 4 * 4
    assert both(forward, x, torch.tensor([4, 1])).macs == 5 * 4 * 4


def test_masks_that_decide_shapes_are_not_remembered() -> None:
    def forward(self: Model, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.linear(x[mask])

    for mask in ([True, True, False], [False, False, True]):
        assert both(forward, rows(3), torch.tensor(mask)).macs == sum(mask) * 4 * 4


def test_new_scalars_at_every_step_do_not_grow_the_memo_for_ever() -> None:
    from pytest_modelbudget.counting.shape_run import memo

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for step in range(300):
            x = x.clamp(min=step * 1e-3) * (step * 1e-3)
        return self.linear(x)

    most = memo.MOST_OUTCOMES
    memo.MOST_OUTCOMES = 64
    try:
        measure(Model(forward), rows(3))
        kept = memo.number_of_outcomes()
    finally:
        memo.MOST_OUTCOMES = most
    assert kept <= 2 * 64
