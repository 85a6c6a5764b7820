"""Containers and objects of others whose own methods raise, as that of e3nn's Irreps does: a tuple without a length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure, observe


def refuse(*_: Any) -> NoReturn:
    raise NotImplementedError


def hostile(kind: type) -> type:
    """Return a class derived from a built-in container, of which nothing can be read by its own methods."""
    names = ("__len__", "__iter__", "__bool__", "__eq__", "__hash__", "__getitem__", "keys", "values", "items", "copy")
    return type(f"Odd{kind.__name__}", (kind,), dict.fromkeys(names, refuse))


class Irreps(tuple):
    __len__ = refuse


class Slots:
    __slots__ = ("there", "unset")

    def __init__(self) -> None:
        self.there = torch.ones(2)

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError(name)


class Hidden:
    __dict__ = property(refuse)


class Holds(nn.Module):
    """Linear(4, 4): 16 MACs a row."""

    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.thing, self.layer = thing, nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, given: Any = None) -> Any:
        return self.layer(x), self.thing


ODD: dict[str, Callable[[], Any]] = {
    "irreps": lambda: Irreps((torch.ones(2),)),
    "tuple": lambda: hostile(tuple)((1, torch.ones(2))),
    "list": lambda: hostile(list)([torch.ones(2)]),
    "dict": lambda: hostile(dict)(a=torch.ones(2)),
    "set": lambda: hostile(set)({1, 2}),
    "nested": lambda: [Irreps((hostile(dict)(a=Irreps((1,))),))],
    "slots": Slots,
    "hidden": Hidden,
}


@pytest.mark.parametrize("name", ODD)
def test_what_a_model_holds_returns_and_is_given_is_read_past_its_own_methods(name: str) -> None:
    make, x = ODD[name], torch.ones(1, 4)
    assert [measure(Holds(make()), inputs).macs for inputs in (x, (x, make()))] == [16, 16]
    assert measure(Holds(make()), x, backward=True).macs == measure(lambda: Holds(make()), x).macs == 16
    with observe() as seen:
        Holds(make())(x, make())
    assert [one.macs for one in seen.measurements] == [16]


def test_what_a_forward_changes_in_them_is_put_back() -> None:
    class Changes(Holds):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            dict.clear(self.thing[0])
            list.append(self.thing[1], x)
            return self.layer(x)

    held = hostile(dict)(a=1, b=2), hostile(list)([1])
    measure(Changes(held), torch.ones(1, 4))
    assert [*dict.items(held[0])] == [("a", 1), ("b", 2)]
    assert [*list.__iter__(held[1])] == [1]
