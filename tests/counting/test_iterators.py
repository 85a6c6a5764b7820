"""What can be read only once is read by one run alone, and every run starts from the same random numbers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

from .shape_run.model import Model, rows

THREE = 3 * 3 * 4 * 4  # three times (3, 4) @ (4, 4)


def generator() -> Iterator[int]:
    yield from range(3)


class Steps:
    """An iterator whose state is in its attributes, where it is put back."""

    def __init__(self) -> None:
        self.done = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.done += 1
        if self.done > 3:
            raise StopIteration
        return self.done


ITERATORS: dict[str, Callable[[], Any]] = {
    "list": lambda: iter([1, 2, 3]),
    "range": lambda: iter(range(3)),
    "generator": generator,
    "map": lambda: map(str, range(3)),
    "cycle": lambda: itertools.islice(itertools.cycle([1]), 3),
    "enumerate": lambda: enumerate("abc"),
    "of a class": Steps,
}


def steps_through(self: Model, x: torch.Tensor) -> torch.Tensor:
    for _ in self.steps:
        x = self.linear(x)
    return x / x.sum().item() if self.asks else x


@pytest.mark.parametrize("name", ITERATORS)
@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("as_factory", [False, True])
def test_a_model_that_holds_an_iterator(name: str, asks: bool, as_factory: bool) -> None:
    def built() -> nn.Module:
        model = Model(steps_through)
        model.steps, model.asks = ITERATORS[name](), asks
        return model

    assert measure(built if as_factory else built(), rows(3)).macs == THREE


@pytest.mark.parametrize("where", ["list", "dict", "object", "tuple", "hook"])
def test_wherever_the_iterator_is_held(where: str) -> None:
    steps = iter(range(3))
    holder = type("Holder", (), {})()
    holder.steps = steps

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in range(len(list(steps))):
            x = self.linear(x)
        return x / x.sum().item()

    model = Model(forward)
    if where == "hook":
        model.linear.register_forward_hook(lambda *_: [steps][1:] or None)
    else:
        model.holder = {"list": [steps], "dict": {"a": steps}, "object": holder, "tuple": (1, (steps,))}[where]
    assert measure(model, rows(3)).macs == THREE


@pytest.mark.parametrize("backward", [False, True])
def test_an_input_that_is_a_generator(backward: bool) -> None:
    def forward(self: Model, xs: Any) -> torch.Tensor:
        parts = [self.linear(x) for x in xs]
        return sum(parts) / sum(parts).abs().sum().item()

    inputs = ((rows(3) for _ in range(3)),)
    assert measure(Model(forward), inputs, backward=backward).macs == THREE


def test_a_forward_that_asks_for_gradients_is_run_once_with_them() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in self.steps:
            x = self.linear(x)
        torch.autograd.grad(x.sum(), self.linear.weight)
        return x

    model = Model(forward)
    model.steps = iter(range(3))
    assert measure(model, rows(3)).macs >= THREE


def test_a_model_without_weights_is_run_once_on_shapes() -> None:
    model = Model(steps_through).to("meta")
    model.steps, model.asks = iter(range(3)), False
    assert measure(model, torch.ones(3, 4, device="meta")).macs == THREE


@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_file_is_read_from_where_it_was(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "steps.txt"
    path.write_text("a\nb\nc\nd\n")

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in self.lines:
            x = self.linear(x)
        return x / x.sum().item()

    model = Model(forward)
    with path.open(mode) as model.lines:
        model.lines.readline()
        assert measure(model, rows(3)).macs == THREE
        assert model.lines.readline().strip() in ("b", b"b")


DRAWS: dict[str, Callable[[], float]] = {
    "random": random.random,
    "numpy": lambda: float(numpy.random.random()),
    "torch": lambda: torch.rand(()).item(),
}


@pytest.mark.parametrize("of", DRAWS)
@pytest.mark.parametrize("real", [False, True])
def test_every_run_starts_from_the_same_random_numbers(of: str, real: bool) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(DRAWS[of]() * 10)):
            x = self.linear(x)
        torch.autograd.grad(self.linear(x).sum(), self.linear.weight)  # the first real run has no gradients
        return x / x.abs().sum().item()

    def seed() -> None:
        random.seed(7)
        numpy.random.seed(7)
        torch.manual_seed(7)

    seed()
    count = int(DRAWS[of]() * 10)
    model = Model(forward)
    seed()
    with force_real_run() if real else nullcontext():
        found = measure(model, rows(3))
    # count + 1 products of (3, 4) and (4, 4), as many gradients of the weight, and one less of inputs
    assert found.macs == (2 * (count + 1) + count) * 3 * 4 * 4
    assert int(DRAWS[of]() * 10) == count
