"""Arguments as a table writes them: objects by name, what factories return, and None."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_modelbudget.factories import FactoryError, builder, described, example_inputs


def gather(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import sys

    made = ModuleType("mbzoo")
    made.__dict__.update(gather=gather, dict=dict, three=3, cached=lru_cache(gather))
    monkeypatch.setitem(sys.modules, "mbzoo", made)
    return made


def built(positional: list[Any], arguments: dict[str, Any]) -> Any:
    return builder("mbzoo:gather", positional, arguments, None)()


CONFIG = {"factory": "mbzoo:dict", "arguments": {"n_layer": 12, "norm": "None"}}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("None", None),
        ("none", "none"),
        (CONFIG, {"n_layer": 12, "norm": None}),
        ({"object": "mbzoo:three"}, 3),
        ([{"object": "mbzoo:three"}, ["None"]], [3, [None]]),
        ({"inner": CONFIG}, {"inner": {"n_layer": 12, "norm": None}}),
        ({"factory": "mbzoo:gather", "positional": ["None", CONFIG]}, ((None, {"n_layer": 12, "norm": None}), {})),
        ({"factory": "mbzoo:dict", "size": 3}, {"factory": "mbzoo:dict", "size": 3}),  # has another key: a dict
        ({"object": "mbzoo:three", "size": 3}, {"object": "mbzoo:three", "size": 3}),
        ({"positional": [1]}, {"positional": [1]}),
    ],
)
def test_what_an_argument_stands_for(written: Any, means: Any) -> None:
    assert built([written], {"key": written}) == ((means,), {"key": means})


def test_what_factories_return_is_built_at_each_call() -> None:
    build = builder("mbzoo:gather", [CONFIG], {}, None)
    assert build()[0][0] is not build()[0][0]
    assert build.__name__ == "gather"


def test_a_cache_is_passed_by() -> None:
    build = builder("mbzoo:cached", [1], {}, None)
    assert build()[0] is not build()[0]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"factory": "mbzoo:three"}, "mbzoo:three cannot be called: name a class or a function"),
        ({"object": "mbzoo:thee"}, "mbzoo has no thee; did you mean three"),
        ([{"a": {"object": "nowhere_at_all:x"}}], "there is no module nowhere_at_all"),
    ],
)
def test_names_are_imported_before_anything_is_built(written: Any, says: str) -> None:
    with pytest.raises(FactoryError, match=says):
        builder("mbzoo:gather", [], {"key": written}, None)


def test_a_call_is_described_as_people_write_it() -> None:
    text = described("mbzoo:gather", [CONFIG, "None"], {"dtype": {"object": "torch:bfloat16"}, "name": "gpt2"})
    assert text == "mbzoo:gather(mbzoo:dict(n_layer=12, norm=None), None, dtype=torch:bfloat16, name='gpt2')"


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (((1, 2), {"a": 3}), (1, 2), {"a": 3}),
        ({"a": 3}, (), {"a": 3}),
        ((1, {"a": 3}), (1, {"a": 3}), {}),
        (((), {}), (), {}),
        ([1, 2], ([1, 2],), {}),
        (3, (3,), {}),
    ],
)
def test_what_a_function_of_inputs_returns(
    given: Any, args: tuple[Any, ...], kwargs: dict[str, Any], module: ModuleType, tmp_path: Path
) -> None:
    calls = []
    module.batch = lambda: calls.append(1) or given  # type: ignore[attr-defined, func-returns-value]
    assert example_inputs("mbzoo:batch", None) == (args, kwargs)
    assert calls == [1]
