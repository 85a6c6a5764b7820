"""Whatever reads the memory of a tensor without values ends the run, by whatever way it gets there."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from pytest_modelbudget.counting import measure

to_list = torch.Tensor.tolist
to_text = torch.Tensor.__repr__


class Image(torch.Tensor):
    """As torchvision's."""


def text_of(x: torch.Tensor) -> str:
    return f"{x}"


def number_in(text: str) -> int:
    return int("".join(letter for letter in text if letter.isdigit()))


READERS: dict[str, Callable[[torch.Tensor], int]] = {
    "a subclass": lambda k: k.as_subclass(Image).tolist(),
    "a captured method": lambda k: to_list(k),
    "a captured text": lambda k: number_in(to_text(k)),
    "torch's own text": lambda k: number_in(torch._tensor_str._str(k)),
    "a scripted text": lambda k: number_in(torch.jit.script(text_of)(k).partition("[")[0].partition("{")[0]),
    "without modes": lambda k: without_modes(k),
    "a packed sequence": lambda k: padded(k),
}


def without_modes(k: torch.Tensor) -> int:
    with torch.utils._python_dispatch._disable_current_modes():
        return int(k.item())


def padded(k: torch.Tensor) -> int:
    ones = torch.stack([k - 2] * 3)
    return len(pad_packed_sequence(PackedSequence(torch.ones(3, 1) + ones[0] * 0, ones))[0])


class Repeats(nn.Module):
    """Three times as many rows, by a number that is known to a real run alone."""

    def __init__(self, read: Callable[[torch.Tensor], int]) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.read = read

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = (x.abs().sum() * 0 + 3).long()
        return self.linear(x.repeat(self.read(count), 1))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that memory was touched")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("read", READERS)
def test_a_number_that_is_read_is_that_of_a_real_run(read: str, backward: bool) -> None:
    found = measure(Repeats(READERS[read]), torch.randn(2, 8), backward=backward)
    assert (found.macs, found.run) == (3 * 2 * 8 * 8, "real")


def test_a_product_of_more_than_any_memory() -> None:
    class Attends(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.transpose(1, 2)

    assert measure(Attends(), torch.zeros(()).expand(1, 5_000_000, 4)).macs == 5_000_000**2 * 4
