"""Inputs of a call: shapes, specs, nested values, and what a function returns."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.counting.measuring import force_real_run

CALLS: list[Any] = []  # not of the class: what a forward changes there is put back


def is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def is_integer(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.is_floating_point()


class Keeps(nn.Module):
    """Keeps what it was called with beside its first input, on which it runs a layer: rows x 4 x 2 MACs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        CALLS.append((tuple(one.tolist() if is_integer(one) else one for one in args if not is_float(one)), kwargs))
        while not isinstance(x, torch.Tensor):
            x = next(iter(x.values())) if isinstance(x, dict) else x[0]
        return self.layer(x)  # type: ignore[no-any-return]


@pytest.fixture
def calls() -> list[Any]:
    CALLS.clear()
    return CALLS


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        ((3, 4), ["args[0] 3x4 float32"]),
        ("3x4 float16", ["args[0] 3x4 float16"]),
        ([(3, 4), (5,)], ["args[0] 3x4 float32", "args[1] 5 float32"]),
        ([[(3, 4), "5 int64"]], ["args[0][0] 3x4 float32", "args[0][1] 5 int64"]),
        ({"x": {"a": "3x4"}}, ["kwargs['x']['a'] 3x4 float32"]),
        ([torch.Size((3, 4)), None], ["args[0] 3x4 float32"]),
    ],
)
@pytest.mark.parametrize("real", [False, True])
def test_shapes_and_specs_of_any_nesting(inputs: Any, names: list[str], real: bool) -> None:
    model: Any = Keeps().half() if "float16" in names[0] else Keeps
    if real:
        with force_real_run():
            found = measure(model, inputs=inputs)
    else:
        found = measure(model, inputs=inputs)
    assert ([str(one) for one in found.inputs], found.macs) == (names, 3 * 4 * 2)


def test_values_are_as_they_are(calls: list[Any]) -> None:
    measure(Keeps, inputs=["3x4", 4, True, 0.5, "mean", None, [1.5, "None"]])
    assert calls[-1] == ((4, True, 0.5, "mean", None, [1.5, None]), {})
    measure(Keeps, inputs={"x": "3x4", "max_new_tokens": 4, "mode": "greedy"})
    assert calls[-1] == ((), {"max_new_tokens": 4, "mode": "greedy"})


def test_integers_are_filled(calls: list[Any]) -> None:
    measure(Keeps, inputs=["3x4", "2 int64 = 63", "2 int8", "2 bool"])
    assert [*calls[-1][0]] == [[63, 63], [0, 0], [True, True]]


def test_a_function_gives_them_once(monkeypatch: pytest.MonkeyPatch, calls: list[Any]) -> None:
    made, given = ModuleType("mbdata"), []
    made.batch = lambda: given.append(1) or ((torch.ones(3, 4), 7), {"labels": None})  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, "mbdata", made)
    found = measure(Keeps, inputs="mbdata:batch")
    assert (found.macs, calls[-1], given) == (3 * 4 * 2, ((7,), {"labels": None}), [1])


def test_the_older_name_takes_what_it_always_took() -> None:
    for size in ((3, 4), "3x4", [(3, 4)], [[(3, 4)]], {"x": (3, 4)}):
        assert measure(Keeps, input_size=size).macs == 3 * 4 * 2
    found = measure(Keeps, input_size=[(3, 4), [(5,), [(6,)]]])
    assert [one.name for one in found.inputs] == ["args[0]", "args[1]", "args[2]"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"inputs": (3, 4), "input_size": (3, 4)}, "input_size is the older name of inputs: give one of them"),
        ({"inputs": (3, 4), "args": (torch.ones(3, 4),)}, "give inputs or args/kwargs, not both"),
        ({"inputs": torch.ones(3, 4)}, "inputs must be a shape .* not torch.Tensor; pass values by args= and kwargs="),
        ({"inputs": [(3, 4), torch.ones(1)]}, "pass values by args= and kwargs="),
        ({"inputs": [3.0, 4]}, "inputs must be a shape"),
        ({"inputs": {}}, "inputs must be a shape"),
        ({"inputs": object()}, "inputs must be a shape"),
        ({"inputs": "nowhere_at_all:batch"}, "there is no module nowhere_at_all"),
    ],
)
def test_what_is_no_input(given: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        measure(Keeps, **given)


def test_a_list_is_one_argument_and_a_failure_says_so() -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    pair = [torch.ones(2), torch.ones(2)]
    assert measure(Two(), tuple(pair)).macs == 0
    with pytest.raises(TypeError, match="missing 1 required positional argument") as caught:
        measure(Two(), pair)
    assert caught.value.__notes__[-1] == "a list in args is one input: pass a tuple, args=(...), for several"
