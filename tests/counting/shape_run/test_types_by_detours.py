"""Code that looks at the exact type of a tensor by a detour: an alias, a table, another class, a name."""

from __future__ import annotations

import builtins
import functools
import itertools
import linecache
import operator
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure

from .model import rows

ONE = 3 * 4 * 4  # one linear layer of 4 features to 4, on 3 rows


def plain(x: Any) -> bool:
    return type(x) is torch.Tensor


@functools.lru_cache
def cached(kind: type) -> bool:
    return kind is torch.Tensor


@functools.lru_cache
def cached_check(x: Any) -> bool:
    return type(x) is torch.Tensor


class Other(nn.Module):
    @staticmethod
    def check(x: Any) -> bool:
        return type(x) is torch.Tensor

    @classmethod
    def check_too(cls, x: Any) -> bool:
        return type(x) is torch.Tensor


typeof = type
SPACE = types.SimpleNamespace(check=plain)
TABLE = {"a": {"b": [plain]}}
ALIAS = torch.Tensor
LIST_OF_TYPES = [torch.Tensor]
EXECUTED: dict[str, Any] = {"kind": torch.Tensor}
exec("def plain(x): return type(x) is kind", EXECUTED)

DETOURS: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "isinstance of a new one": lambda self, x: isinstance(torch.ones(1), type(x)),
    "issubclass": lambda self, x: issubclass(type(torch.ones(1)), type(x)),
    "one type for all": lambda self, x: len({type(one) for one in (x, torch.arange(3))}) == 1,
    "set of a map": lambda self, x: len(set(map(type, (x, torch.arange(3))))) == 1,
    "bases": lambda self, x: type(x).__mro__[0] is torch.Tensor,
    "alias": lambda self, x: typeof(x) is torch.Tensor,
    "builtins": lambda self, x: builtins.type(x) is torch.Tensor,
    "given to a cached function": lambda self, x: cached(type(x)),
    "cached function": lambda self, x: cached_check(x),
    "namespace": lambda self, x: SPACE.check(x),
    "nested tables": lambda self, x: TABLE["a"]["b"][0](x),
    "static method of another module": lambda self, x: Other.check(x),
    "class method of another module": lambda self, x: Other.check_too(x),
    "default": lambda self, x, check=plain: check(x),
    "keyword default": lambda self, x, *, check=plain: check(x),
    "getattr": lambda self, x: getattr(self, "check_" + self.kind)(x),
    "text of the type of a weight": lambda self, x: "Parameter" in str(type(self.linear.weight)),
    "start of its name": lambda self, x: type(self.linear.weight).__name__.startswith("Param"),
    "formatted": lambda self, x: "torch.nn.parameter.Parameter" in f"{type(self.linear.weight)}",
    "module of the type": lambda self, x: type(self.linear.weight).__module__ == "torch.nn.parameter",
    "cached property": lambda self, x: self.has_plain_weight,
    "list": lambda self, x: [type(one) for one in (x,)] == LIST_OF_TYPES,
    "last of a list": lambda self, x: [type(one) for one in (x,)][-1] is ALIAS,
    "keys of a dict": lambda self, x: {type(one): True for one in (x,)}.get(ALIAS),
    "values of a dict": lambda self, x: {one: type(one) for one in (x,)}[x] is ALIAS,
    "generator": lambda self, x: next(type(one) for one in (x,)) is ALIAS,
    "next of a map": lambda self, x: next(map(type, (x,))) is ALIAS,
    "two in a set": lambda self, x: len({type(x), type(torch.arange(3))}) == 1,
    "set of a list": lambda self, x: len(set([type(one) for one in (x, torch.arange(3))])) == 1,  # noqa: C403
    "type as a default": lambda self, x, type=type: type(x) is torch.Tensor,
    "exec": lambda self, x: EXECUTED["plain"](x),
    "variable": lambda self, x: in_a_variable(x),
    "variable looked up": lambda self, x: looked_up(x),
    "assignment in a comparison": lambda self, x: (kind := type(x)) in KINDS and kind,
    "key of two parts": lambda self, x: TABLE_OF_TYPES.get((type(x), x.dtype)),
    "key of two types": lambda self, x: (type(x), type(x)) in PAIRS or PAIRS.get((type(x), type(x))),
    "method of a table": lambda self, x: LOOK_UP.look(type(x)),
    "key of a grouping": lambda self, x: next(itertools.groupby([x], key=type))[0] in KINDS,
    "type as an argument": lambda self, x: next(itertools.groupby([x], type))[0] in KINDS,
    "two variables at once": lambda self, x: in_two_variables(x),
    "returned": lambda self, x: kind_of(x) is ALIAS,
    "objects in a list": lambda self, x: all(check(x) for check in CHECKS),
    "object in a table": lambda self, x: TABLE_OF_CHECKS["type"].accepts(x),
    "item of an object": lambda self, x: LOOK_UP[x],
    "equality of an object": lambda self, x: operator.eq(LOOK_UP, x),
}


KINDS = {torch.Tensor: 1}
PAIRS = {(torch.Tensor, torch.Tensor): 1}
TABLE_OF_TYPES = {(torch.Tensor, torch.float32): 1}


def in_a_variable(x: Any) -> bool:
    kind = type(x)
    return kind in KINDS


def in_two_variables(x: Any) -> bool:
    kind, other = type(x), type(torch.arange(3))
    return kind == other


def kind_of(x: Any) -> type:
    return type(x)


def looked_up(x: Any) -> bool:
    kind: Any = type(x)
    return bool(KINDS.get(kind))


class LookUp:
    def look(self, kind: type) -> int | None:
        return KINDS.get(kind)

    def __getitem__(self, x: Any) -> int:
        return KINDS.get(type(x), 0)

    def __eq__(self, x: object) -> bool:
        return type(x) in KINDS

    __hash__ = None  # type: ignore[assignment]


LOOK_UP = LookUp()


class Asking(nn.Module):
    kind = "tensor"

    def __init__(self, condition: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.condition = condition

    def check_tensor(self, x: Any) -> bool:
        return type(x) is torch.Tensor

    @functools.cached_property
    def has_plain_weight(self) -> bool:
        return type(self.linear.weight) is nn.Parameter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if self.condition(self, x) else x


@pytest.mark.parametrize("condition", DETOURS)
def test_a_forward_that_looks_at_types_by_a_detour(condition: str) -> None:
    build = functools.partial(Asking, DETOURS[condition])
    for given in (build(), build):
        assert measure(given, rows(3)).macs == ONE


def test_the_source_of_a_command_is_that_of_no_function_in_a_string(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 keeps the source of ``python -c`` under the name of every string that is executed."""
    monkeypatch.setitem(linecache.cache, "<string>", (12, None, ["import sys\n"] * 9, "<string>"))
    made: dict[str, Any] = {}
    exec("def plain(x):\n    return type(x) is torch.Tensor", {"torch": torch}, made)
    asks = made["plain"]
    assert measure(Asking(lambda self, x: asks(x)), rows(3)).macs == ONE


class Check:
    """Looks at types in the methods that run without being named."""

    def __call__(self, x: Any) -> bool:
        return type(x) is torch.Tensor

    def __contains__(self, x: Any) -> bool:
        return type(x) is torch.Tensor

    def __getitem__(self, x: Any) -> bool:
        return type(x) is torch.Tensor

    def accepts(self, x: Any) -> bool:
        return type(x) is torch.Tensor


CHECKS = [Check()]
TABLE_OF_CHECKS = {"type": Check()}
HELD: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "called": lambda self, x: self.check(x),
    "called in a list": lambda self, x: all(check(x) for check in self.checks),
    "called in a dict": lambda self, x: self.by_name["check"](x),
    "contains": lambda self, x: x in self.check,
    "item": lambda self, x: self.check[x],
}


@pytest.mark.parametrize("use", HELD)
def test_an_object_that_the_model_holds_looks_at_types(use: str) -> None:
    class Holding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.check, self.checks, self.by_name = Check(), [Check()], {"check": Check()}
            self.condition = HELD[use]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) if self.condition(self, x) else x

    for given in (Holding(), Holding):
        assert measure(given, rows(3)).macs == ONE


def asserted(x: Any) -> bool:
    assert isinstance(x, torch.Tensor), type(x)
    return True


def raised(x: Any) -> bool:
    if not isinstance(x, torch.Tensor):
        raise TypeError("expected a torch.Tensor, not " + str(type(x)) + f" {type(x)}", type(x))
    return True


def printed(x: Any) -> bool:
    if not isinstance(x, torch.Tensor):
        print("expected a torch.Tensor, not", type(x))
    return True


BY_CLASS = {nn.Linear: True}
HARMLESS: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "its own type": lambda self, x: type(self).__name__ == "Asking",
    "types of modules": lambda self, x: [type(module) for module in self.children()] != [],
    "types in a message": lambda self, x: f"{[type(module) for module in self.children()]}",
    "message of an assertion": lambda self, x: asserted(x),
    "message of an error": lambda self, x: raised(x),
    "printed": lambda self, x: printed(x),
    "written with %": lambda self, x: isinstance(x, torch.Tensor) and "%s %d" % (type(x), 1),  # noqa: UP031
    "formatted": lambda self, x: isinstance(x, torch.Tensor) and "{}".format(type(x)),  # noqa: UP032
    "looked up in a table of modules": lambda self, x: BY_CLASS.get(type(self.linear)),
    "item of a table of modules": lambda self, x: BY_CLASS[type(self.linear)],
    "type of a number": lambda self, x: isinstance(3, int) or int is int,
    "another attribute": lambda self, x: getattr(self, "linear") is not None,  # noqa: B009
    "made of the same type": lambda self, x: type((1, 2))([3]) is not None,
}


@pytest.mark.parametrize("condition", HARMLESS)
def test_other_types_need_no_real_run(condition: str) -> None:
    found = measure(functools.partial(Asking, HARMLESS[condition]), rows(3))
    assert (found.macs, found.run) == (ONE, "shape")
