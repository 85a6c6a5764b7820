"""Inputs and outputs of every nesting: dicts, dataclasses, named tuples, lists, None, what is not a tensor."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from ..case import Family, grad, ints, rand

cases = Family("containers")

LINEAR = 4 * 16 * 8
PARAMS = 16 * 8 + 8
KNOWN: dict[str, Any] = {"macs": LINEAR, "params": PARAMS, "training": 2 * LINEAR}


@dataclass
class Batch:
    x: torch.Tensor
    weight: float = 1.0
    mask: torch.Tensor | None = None


class Pair(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor | None


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 8)


class DictIn(Base):
    def forward(self, batch: dict[str, Any]) -> torch.Tensor:
        return self.linear(batch["features"]["x"])


class DataclassIn(Base):
    def forward(self, batch: Batch) -> torch.Tensor:
        return self.linear(batch.x) * batch.weight


class NamedTupleIn(Base):
    def forward(self, pair: Pair) -> torch.Tensor:
        return self.linear(pair.x if pair.y is None else pair.x + pair.y)


class ListIn(Base):
    def forward(self, items: list[torch.Tensor]) -> torch.Tensor:
        return self.linear(torch.cat(items))


class KeywordOnly(Base):
    def forward(self, *, x: torch.Tensor, scale: float = 1.0, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.linear(x) * scale


class Anything(Base):
    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.linear(sum(args)) + kwargs["shift"]


class NotTensors(Base):
    def forward(self, x: torch.Tensor, times: int, name: str, flags: set[str], nothing: None = None) -> torch.Tensor:
        for _ in range(times):
            x = self.linear(x)[:, :1].expand(4, 16) if name in flags else x
        return self.linear(x)


def case(name: str, build: type[nn.Module], args: Any, **others: Any) -> None:
    cases.case(args, name=name, **{**KNOWN, "why": "N*in*out; +dW", **others})(build)


case("dict_in", DictIn, lambda: ({"features": {"x": rand(4, 16), "ids": ints(4, high=3)}, "name": "a"},))
case("dataclass_in", DataclassIn, lambda: (Batch(rand(4, 16), 0.5),))
case("named_tuple_in", NamedTupleIn, lambda: (Pair(rand(4, 16), None),))
case("named_tuple_of_two_in", NamedTupleIn, lambda: (Pair(rand(4, 16), rand(16)),))
case("list_in", ListIn, lambda: ([rand(1, 16), rand(3, 16)],))
case("keyword_only", KeywordOnly, lambda: (), kwargs=lambda: {"x": rand(4, 16), "scale": 2.0, "mask": None})
case("any_arguments", Anything, lambda: (rand(4, 16), rand(4, 16)), kwargs=lambda: {"shift": rand(8)})
case(
    "not_tensors_in",
    NotTensors,
    lambda: (rand(4, 16), 2, "a", {"a", "b"}, None),
    macs=3 * LINEAR,
    training=(2 + 3 + 3) * LINEAR,
    why="int, str, set and None decide: three calls",
)


class DictOut(Base):
    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        return OrderedDict(logits=self.linear(x), aux={"zeros": torch.zeros(3), "none": None}, count=3)


class DataclassOut(Base):
    def forward(self, x: torch.Tensor) -> Batch:
        return Batch(self.linear(x))


class NamedTupleOut(Base):
    def forward(self, x: torch.Tensor) -> Pair:
        return Pair(self.linear(x), None)


class NestedOut(Base):
    def forward(self, x: torch.Tensor) -> Any:
        y = self.linear(x)
        return [(y, None), {"deep": [y * 2, {"deeper": (y.argmax(-1),)}]}, "text"]


class NothingOut(Base):
    def forward(self, x: torch.Tensor) -> None:
        self.linear(x)


class IntegersOut(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).argmax(-1)


class InputOut(Base):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, self.linear(x)


class ScalarOut(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).mean()


def one() -> torch.Tensor:
    return rand(4, 16)


case("dict_out", DictOut, one)
case("dataclass_out", DataclassOut, one)
case("named_tuple_out", NamedTupleOut, one)
case("nested_out", NestedOut, one)
case("nothing_out", NothingOut, one, training=LINEAR, why="no output: no backward")
case("integers_out", IntegersOut, one, training=LINEAR, why="no floating-point output: no backward")
case("input_out", InputOut, one)
case(
    "input_with_gradient_out",
    InputOut,
    lambda: grad(4, 16),
    training=3 * LINEAR,
    why="the input comes out as it is; +dW, +dX",
)
case("scalar_out", ScalarOut, one)


class GeneratorInside(Base):
    def forward(self, xs: dict[int, torch.Tensor]) -> torch.Tensor:
        return torch.stack([self.linear(xs[key]) for key in sorted(xs, reverse=True)])


case(
    "dict_with_integer_keys",
    GeneratorInside,
    lambda: ({1: rand(1, 16), 2: rand(1, 16), 0: rand(1, 16)},),
    macs=3 * 128,
    training=6 * 128,
    why="three rows",
)
