"""Models that the table declares with a factory, so that they need no test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.limits import shortened
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.scaling import Exponent, parse_exponent
from pytest_modelbudget.factories import is_factory_name
from pytest_modelbudget.metrics import METRICS, nearest
from pytest_modelbudget.specs import Inputs, SpecError, parse_inputs

DECLARING = ("factory", "arguments", "inputs", "method", "backward", "scaling")
"""The keys of an entry that say how its model is built and called."""

_GLOB = frozenset("*?[")

Mistake = tuple[tuple[str, ...], str]
"""The keys below the entry, and what is wrong there."""


class DeclaredModel(Struct, frozen=True, omit_defaults=True):
    """How the model of one entry is built (``module:attribute``, called with ``arguments``), and how it is called."""

    name: str
    factory: str
    place: Place
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Inputs | None = None
    method: str = "forward"
    backward: bool = False
    scaling: Mapping[str, Exponent] = field(default_factory=dict)


def declared_model(name: str, data: Mapping[str, object], place: Place) -> DeclaredModel | list[Mistake]:
    """Return the model that the keys ``DECLARING`` of an entry declare, or every mistake in them."""
    mistakes = [*_mistakes(name, data)]
    inputs = None
    if "inputs" in data:
        try:
            inputs = parse_inputs(data["inputs"])
        except SpecError as error:
            mistakes.append((("inputs",), f"= {shortened(data['inputs'])}: {error}"))
    scaling, more = _scaling(data.get("scaling", {}), inputs, place)
    mistakes += more
    if mistakes:
        return mistakes
    arguments: Any = data.get("arguments", {})
    return DeclaredModel(
        name,
        str(data["factory"]),
        place,
        arguments,
        inputs,
        str(data.get("method", "forward")),
        bool(data.get("backward", False)),
        scaling,
    )


def _scaling(data: object, inputs: Inputs | None, place: Place) -> tuple[dict[str, Exponent], list[Mistake]]:
    if not isinstance(data, Mapping):
        return {}, [(("scaling",), f'is a table such as {{ macs = "linear" }}, not {shortened(data)}')]
    found, mistakes = dict[str, Exponent](), list[Mistake]()
    if data and (inputs is None or inputs.steps < 2):
        mistakes.append((("scaling",), 'needs inputs with a range of sizes, as in "1x{128,256,512} int64"'))
    for metric, value in data.items():
        if metric not in METRICS:
            meant = nearest(metric, tuple(METRICS))
            mistakes.append((("scaling", metric), f"is no metric; did you mean {meant}?" if meant else "is no metric"))
            continue
        try:
            found[metric] = parse_exponent(value, place)
        except MalformedLimit as error:
            mistakes.append((("scaling", metric), f"= {shortened(value)}: {error}"))
    return found, mistakes


def _mistakes(name: str, data: Mapping[str, object]) -> Iterator[Mistake]:
    factory, method = data.get("factory"), data.get("method", "forward")
    if factory is None:
        for key in data:
            yield (key,), 'needs a factory beside it, as in factory = "acme.models:ResNet50"'
    elif not is_factory_name(factory):
        yield ("factory",), f'is "module:attribute", as in "acme.models:ResNet50", not {shortened(factory)}'
    elif _GLOB.intersection(name):
        yield ("factory",), "declares one model, and this entry is a pattern: give it a name of its own"
    if not isinstance(method, str) or not method.isidentifier():
        yield ("method",), f'is the name of a method, as in "training_step", not {shortened(method)}'
    if not isinstance(data.get("backward", False), bool):
        yield ("backward",), f"is true or false, not {shortened(data['backward'])}"
    elif data.get("backward") and "inputs" not in data:
        yield ("backward",), "needs inputs"
    arguments = data.get("arguments", {})
    if not isinstance(arguments, Mapping):
        yield ("arguments",), f"is a table of keyword arguments, not {shortened(arguments)}"
    elif not _is_plain(arguments):
        yield ("arguments",), "holds strings, numbers, booleans, arrays and tables, no dates or times"


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, list) else isinstance(value, (str, int, float))
