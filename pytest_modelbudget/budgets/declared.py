"""Models that the table declares with a factory, so that they need no test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.limits import shortened
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.scaling import Exponent, parse_exponent
from pytest_modelbudget.factories import ARTIFACTS, is_name_of_object, named_in
from pytest_modelbudget.metrics import METRICS, nearest
from pytest_modelbudget.specs import FLOATS, SpecError, cache_sizes, parse_inputs

_OF_FACTORY = ("factory", "positional", "arguments", "train", "dtype", "ranks", "optimizer", "cache")
DECLARING = (*_OF_FACTORY, "artifact", "like", "inputs", "method", "backward", "memory", "scaling")
"""The keys of an entry that say how its model is built and called."""

_GLOB = frozenset("*?[")

Mistake = tuple[tuple[str, ...], str]
"""The keys below the entry, and what is wrong there."""


class DeclaredModel(Struct, frozen=True, omit_defaults=True):
    """How the model of one entry is built, by calling the ``factory`` ``module:attribute``, and how it is called.

    In place of a factory it may have an ``artifact``, a file below the folder of the table.
    ``inputs`` are as the table writes them, for ``parse_inputs``, and ``train`` is None where the model's mode follows
    from what is run.
    """

    name: str
    place: Place
    factory: str = ""
    artifact: str = ""
    positional: tuple[Any, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Any = None
    method: str = "forward"
    train: bool | None = None
    dtype: str | None = None
    ranks: int | None = None
    backward: bool = False
    memory: bool = False
    optimizer: str | Mapping[str, Any] | None = None
    cache: int | str | None = None
    scaling: Mapping[str, Exponent] = field(default_factory=dict)


def declared_entry(name: str, models: Mapping[str, object], place: Place) -> DeclaredModel | list[Mistake]:
    """Return the model that an entry of ``models`` declares, or every mistake in it and in what it is ``like``."""
    keys = _declaring_keys(name, models)
    return [keys] if isinstance(keys, tuple) else declared_model(name, keys, place)


def _declaring_keys(name: str, models: Mapping[str, object]) -> dict[str, object] | Mistake:
    """Return the keys that declare the model of an entry: its own, and those of the entry that it is ``like``."""
    keys: dict[str, object] = {}
    seen: list[str] = []
    like: object = name
    while like is not None:
        entry = models.get(like) if isinstance(like, str) else None
        if like in seen:
            return ("like",), f"goes in a circle: {' is like '.join([*seen, str(like)])}"
        if not isinstance(entry, Mapping) or (seen and not {"factory", "artifact", "like"} & entry.keys()):
            meant = nearest(str(like), tuple(models)) if entry is None else None
            hint = f"; did you mean {meant}?" if meant else ""
            return ("like",), f"is the name of another entry that declares a model, not {shortened(like)}{hint}"
        seen.append(str(like))
        own = {key: value for key, value in entry.items() if key in DECLARING}
        merged, inherited = keys.get("arguments"), own.get("arguments")
        replaced = _OF_FACTORY if "artifact" in keys else ("artifact",) if "factory" in keys else ()
        own = {key: value for key, value in own.items() if key not in replaced}
        keys = {**own, **keys}
        if isinstance(merged, Mapping) and isinstance(inherited, Mapping):
            keys["arguments"] = {**inherited, **merged}
        like = own.get("like")
    keys.pop("like", None)
    return keys


def declared_model(name: str, data: Mapping[str, object], place: Place) -> DeclaredModel | list[Mistake]:
    """Return the model that the keys ``DECLARING`` of an entry declare, or every mistake in them."""
    mistakes = [*_mistakes(name, data)]
    inputs = None
    if "inputs" in data:
        try:
            inputs = parse_inputs(data["inputs"])
        except SpecError as error:
            mistakes.append((("inputs",), f"= {shortened(data['inputs'])}: {error}"))
    steps = inputs.steps if inputs else 1
    if "cache" in data:
        try:
            steps = max(steps, _steps_of_cache(data, steps))
        except SpecError as error:
            mistakes.append((("cache",), f"= {shortened(data['cache'])}: {error}"))
    scaling, more = _scaling(data.get("scaling", {}), steps, place)
    mistakes += more
    if mistakes:
        return mistakes
    given: dict[str, Any] = {**data, "scaling": scaling}
    given["positional"] = tuple(given.get("positional", ()))
    return DeclaredModel(name, place, **given)


def _steps_of_cache(data: Mapping[str, object], steps_of_inputs: int) -> int:
    """Return how many sizes of the cache are measured. Raises SpecError."""
    sizes = cache_sizes(data["cache"])
    if len(sizes) > 1 and steps_of_inputs > 1:
        raise SpecError("the inputs have a range already")
    if data.get("backward") or "optimizer" in data:
        raise SpecError("a decode step has no backward pass")
    return len(sizes)


def _scaling(data: object, steps: int, place: Place) -> tuple[dict[str, Exponent], list[Mistake]]:
    if not isinstance(data, Mapping):
        return {}, [(("scaling",), f'is a table such as {{ macs = "linear" }}, not {shortened(data)}')]
    found, mistakes = dict[str, Exponent](), list[Mistake]()
    if data and steps < 2:
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
    yield from _mistakes_in_artifact(data) if "artifact" in data else _mistakes_in_factory(data)
    if _GLOB.intersection(name):
        key = "artifact" if "artifact" in data else "factory"
        yield (key,), "declares one model, and this entry is a pattern: give it a name of its own"
    method, dtype = data.get("method", "forward"), data.get("dtype", FLOATS[0])
    if not isinstance(method, str) or not method.isidentifier():
        yield ("method",), f'is the name of a method, as in "training_step", not {shortened(method)}'
    for key in ("train", "backward", "memory"):
        if not isinstance(data.get(key, False), bool):
            yield (key,), f"is true or false, not {shortened(data[key])}"
    for key in ("backward", "memory", "optimizer", "cache"):
        if data.get(key, False) is not False and "inputs" not in data and "artifact" not in data:
            yield (key,), "needs inputs"
    ranks = data.get("ranks", 1)
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        yield ("ranks",), f"is how many ranks there are, as in 2, not {shortened(ranks)}"
    if dtype not in FLOATS:
        yield ("dtype",), f"is one of {', '.join(FLOATS)}, not {shortened(dtype)}"
    yield from _mistakes_in_call((), data)
    yield from _mistakes_in_optimizer(data.get("optimizer", "torch.optim:SGD"))


def _mistakes_in_optimizer(optimizer: object) -> Iterator[Mistake]:
    if named_in(optimizer) is not None and isinstance(optimizer, Mapping) and "factory" in optimizer:
        yield from _mistakes_in_argument(("optimizer",), optimizer)
    elif not is_name_of_object(optimizer):
        yield (
            ("optimizer",),
            f'is "module:attribute", as in "torch.optim:AdamW", or a table with a factory, not {shortened(optimizer)}',
        )


def _mistakes_in_factory(data: Mapping[str, object]) -> Iterator[Mistake]:
    factory = data.get("factory")
    if factory is None:
        for key in data:
            yield (key,), 'needs a factory beside it, as in factory = "acme.models:ResNet50"'
    elif not is_name_of_object(factory):
        yield ("factory",), _no_name(factory)


def _mistakes_in_artifact(data: Mapping[str, object]) -> Iterator[Mistake]:
    artifact = data["artifact"]
    if not isinstance(artifact, str) or not artifact.endswith(ARTIFACTS):
        yield (
            ("artifact",),
            f'is the path of a file, as in "build/net.pt2" or "net.safetensors", not {shortened(artifact)}',
        )
    for key in _OF_FACTORY:
        if key in data:
            yield (key,), "belongs to a factory, and this entry has an artifact"
    if "inputs" in data and isinstance(artifact, str) and not artifact.endswith(ARTIFACTS[:1]):
        yield ("inputs",), "are for what can be run, and a file of weights cannot"


def _mistakes_in_call(at: tuple[str, ...], call: Mapping[str, object]) -> Iterator[Mistake]:
    """Yield what is wrong with the arguments of a factory, of the entry or within its arguments."""
    positional, arguments = call.get("positional", []), call.get("arguments", {})
    if not isinstance(positional, list):
        yield (*at, "positional"), f"is an array of arguments, not {shortened(positional)}"
    else:
        for argument in positional:
            yield from _mistakes_in_argument((*at, "positional"), argument)
    if not isinstance(arguments, Mapping):
        yield (*at, "arguments"), f"is a table of keyword arguments, not {shortened(arguments)}"
    else:
        for key, argument in arguments.items():
            yield from _mistakes_in_argument((*at, "arguments", key), argument)


def _mistakes_in_argument(at: tuple[str, ...], value: object) -> Iterator[Mistake]:
    name = named_in(value)
    if name is not None and not is_name_of_object(name):
        assert isinstance(value, Mapping)
        yield (*at, *value.keys() & {"object", "factory"}), _no_name(name)
    elif name is not None:
        assert isinstance(value, Mapping)
        yield from _mistakes_in_call(at, value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _mistakes_in_argument((*at, key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mistakes_in_argument(at, inner)
    elif not isinstance(value, (str, int, float)):
        yield at, "holds strings, numbers, booleans, arrays and tables, no dates or times"


def _no_name(value: object) -> str:
    return f'is "module:attribute", as in "acme.models:ResNet50", not {shortened(value)}'
