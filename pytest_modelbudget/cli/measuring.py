"""``modelbudget measure`` and ``modelbudget init``: what factories build, without a test."""

from __future__ import annotations

import re
import traceback
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tabulate import tabulate
from tomlkit.exceptions import TOMLKitError

from pytest_modelbudget.budgets.declared import declared_model
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.cli.sources import SourceError, write
from pytest_modelbudget.factories import (
    ARTIFACTS,
    FactoryError,
    builder,
    example_inputs,
    is_name_of_object,
    optimizer_maker,
)
from pytest_modelbudget.measurement import Measurement, human, rounded_up
from pytest_modelbudget.reports.comparison import side_by_side
from pytest_modelbudget.reports.wording import counted
from pytest_modelbudget.specs import Inputs, SpecError, parse_inputs

_LIMITED = ("params", "macs", "training_macs", "peak_bytes", "optimizer_bytes")
"""The metrics of which a new entry limits each that was measured."""
_KEYWORD = re.compile(r"\s*(?P<key>[^\W\d]\w*)\s*=(?P<value>.*)", re.DOTALL)
_SAYS_NOTHING = re.compile("(build|create|from|get|load|make)(_.*)?")
_NAMES_A_MODEL = re.compile(r"[^\W\d][\w.-]*")


@dataclass(frozen=True, slots=True)
class _Model:
    """One model that the command line asks for; ``like`` is the first that the same factory builds."""

    name: str
    factory: str
    arguments: Mapping[str, Any]
    like: _Model | None = None


def measure_all(options: Namespace) -> int:
    """Measure every model, and print what was found. The exit code is 1 where a count is only a lower bound."""
    models = _models(options)
    found = [_measure(model, options) for model in models]
    if options.format == "json":
        text = msgspec.json.format(msgspec.json.encode([one.as_dict() for one in found]), indent=2).decode()
    elif options.format == "markdown":
        text = side_by_side(found)
    else:
        text = "\n\n".join(_shown(one, model, options) for one, model in zip(found, models, strict=True))
    print(text)
    return int(not all(one.complete for one in found))


def init(options: Namespace) -> int:
    """Write an entry for every model into the table, and none that exists already."""
    path = Path(options.config)
    try:
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
        document = tomlkit.parse(before)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    known = _table(document, "tool", "modelbudget", "models")
    models = _models(options)
    names = [model.name for model in models]
    twice = [name for name in names if name in known or names.count(name) > 1]
    if twice:
        raise SourceError(
            f"{path}: there is an entry [tool.modelbudget.models.{twice[0]}] already; nothing was written. Give "
            "another one by --name"
        )
    for model in models:
        known.add(model.name, _entry(_measure(model, options), model, options))
    text = tomlkit.dumps(document)
    write(path, text.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in before else text)
    print(f"{path}: {', '.join(names)}")
    return 0


def _models(options: Namespace) -> list[_Model]:
    """Return the models of the command line: one for each factory, or for each ``--name`` of a single factory."""
    factories, variants = options.factories, options.variants
    for factory in factories:
        if not is_name_of_object(factory) and not factory.endswith(ARTIFACTS):
            raise SourceError(f'{factory}: a factory is "module:attribute", as in acme.models:ResNet50')
    if len(factories) > 1 and variants and len(variants) != len(factories):
        raise SourceError(
            f"--name: {len(factories)} factories have {counted(len(variants), 'name')}; name all of them, or none"
        )
    if len(factories) == 1:
        factories = factories * max(len(variants), 1)
    found: list[_Model] = []
    for factory, (name, more) in zip(factories, variants or [("", [])] * len(factories), strict=True):
        arguments = dict(map(_argument, [*options.arguments, *more]))
        like = next((model for model in found if variants and model.factory == factory), None)
        found.append(_Model(name or _default_name(factory, options.positional, arguments), factory, arguments, like))
    return found


def _default_name(factory: str, positional: Sequence[Any], arguments: Mapping[str, Any]) -> str:
    """Return a name for what a factory builds: the factory's own, unless it only says that it builds something."""
    if factory.endswith(ARTIFACTS):
        return Path(factory).name.partition(".")[0]
    module, _, attribute = factory.partition(":")
    *owner, name = attribute.split(".")
    if not _SAYS_NOTHING.fullmatch(name):
        return name
    texts = [text for text in (*map(_value, positional), *arguments.values()) if isinstance(text, str)]
    named = [text for text in texts if _NAMES_A_MODEL.fullmatch(text)]
    if len(named) == 1:
        return named[0]
    return owner[-1] if owner else module.rpartition(".")[2]


def _measure(model: _Model, options: Namespace) -> Measurement:
    """Measure what one factory builds. Raises SourceError for whatever goes wrong."""
    from pytest_modelbudget.counting import measure

    inputs = _inputs(options.inputs)
    given: dict[str, Any] = {"inputs": inputs}
    declared = declared_model(model.name, dict(_keys_without_like(model, options)), Place("the command line"))
    if isinstance(declared, list):
        (*at, key), what = declared[0]
        raise SourceError(f"{model.factory}: {'.'.join([*at, key])} {what}")
    try:
        build: Any = Path(model.factory)
        if not model.factory.endswith(ARTIFACTS):
            build = builder(model.factory, [*map(_value, options.positional)], model.arguments, Path.cwd())
        if inputs is not None and inputs.function:
            args, kwargs = example_inputs(inputs.function, Path.cwd())
            given = {"args": args, "kwargs": kwargs}
        return measure(
            build,
            **given,
            method=options.method,
            name=model.name,
            train=options.train or None,
            dtype=options.dtype,
            memory=options.memory,
            ranks=options.ranks,
            optimizer=options.optimizer and optimizer_maker(options.optimizer, Path.cwd()),
            backward=options.backward,
            cache=options.cache,
        )
    except FactoryError as error:
        raise SourceError(str(error)) from None
    except Exception as error:
        if options.verbose:
            traceback.print_exc()
        hint = "" if options.verbose else " (-v shows where)"
        reason = ": ".join(filter(None, [type(error).__name__, str(error).partition("\n")[0]]))
        notes: list[str] = getattr(error, "__notes__", [])
        raise SourceError(f"{model.factory}: {'; '.join([reason, *notes])}{hint}") from None


def _inputs(given: list[str]) -> Inputs | None:
    """Return the inputs of the command line: by position, or all of them as ``keyword=input``."""
    if not given:
        return None
    try:
        inputs = parse_inputs(_as_in_a_table(given))
    except SpecError as error:
        raise SourceError(f"--inputs: {error}") from None
    if inputs.steps > 1:
        raise SourceError("--inputs: a range of sizes belongs to scaling, in the table")
    return inputs


def _as_in_a_table(given: list[str]) -> Any:
    """Return the inputs of the command line as they stand in a table."""
    pairs = [_KEYWORD.fullmatch(text) for text in given]
    if all(pairs):
        return {pair["key"]: _value(pair["value"]) for pair in pairs if pair}
    return _value(given[0]) if len(given) == 1 else [*map(_value, given)]


def _argument(text: str) -> tuple[str, Any]:
    """Return the name and value of ``depth=50``."""
    pair = _KEYWORD.fullmatch(text)
    if pair is None:
        raise SourceError(f"--arguments {text}: write name=value, as in depth=50")
    return pair["key"], _value(pair["value"])


def _value(text: str) -> Any:
    """Return the value of TOML that a text is, or else the text."""
    try:
        return tomlkit.parse(f"x = {text}").unwrap()["x"]
    except TOMLKitError:
        return text


def _shown(measurement: Measurement, model: _Model, options: Namespace) -> str:
    tables = tomlkit.document()
    _table(tables, "tool", "modelbudget", "models").add(measurement.name, _entry(measurement, model, options))
    ran = ", ".join(filter(None, [f"{measurement.run} run", measurement.mode]))
    how = ran if measurement.run else "nothing was run: give --inputs"
    parts = [f"{measurement.headline()} ({how})", *_memory(measurement), measurement.tree(options.depth)]
    return "\n\n".join([*parts, tomlkit.dumps(tables).strip()])


def _memory(measurement: Measurement) -> Iterator[str]:
    """Yield what inference and training need in memory at least, where that was measured."""
    if measurement.memory is None:
        return
    peak, weights = measurement.memory, measurement.weight_bytes
    where = f"at the peak, during {peak.operator} in {peak.module or measurement.name}"
    rows = [
        ("weights", weights, ""),
        ("activations", peak.peak_bytes, where),
        ("inference", weights + peak.peak_bytes, "at least"),
    ]
    if measurement.cache_bytes is not None:
        rows.insert(2, ("cache", measurement.cache_bytes, "of the activations, when the call has ended"))
    if measurement.saved_bytes is not None:
        kept = measurement.optimizer_bytes or 0
        rows.append(("saved", measurement.saved_bytes, "between forward and backward"))
        rows += [("optimizer", kept, "state after one step")] * (measurement.optimizer_bytes is not None)
        rows.append(("training", weights + measurement.saved_bytes + kept, "at least, and the gradients"))
    cells = [(name, human(size, "peak_bytes"), what) for name, size, what in rows]
    yield "\n".join(line.rstrip() for line in tabulate(cells, tablefmt="plain", disable_numparse=True).splitlines())


def _entry(measurement: Measurement, model: _Model, options: Namespace) -> tomlkit.items.Table:
    """Return the entry of a model, with limits that it just keeps."""
    entry = tomlkit.table()
    for key, value in _keys(model, options):
        entry.add(key, tomlkit.value(_as_toml(value)))
    for metric in _LIMITED:
        value = getattr(measurement, metric)
        if value is not None:
            entry.add(metric, rounded_up(value, metric))
    return entry


def _keys(model: _Model, options: Namespace) -> Iterator[tuple[str, Any]]:
    if model.like is not None:
        before = model.like.arguments
        yield "like", model.like.name
        own = {key: value for key, value in model.arguments.items() if key not in before or before[key] != value}
        if own:
            yield "arguments", own
    else:
        yield from _keys_without_like(model, options)


def _keys_without_like(model: _Model, options: Namespace) -> Iterator[tuple[str, Any]]:
    if model.factory.endswith(ARTIFACTS):
        yield "artifact", Path(model.factory).as_posix()
    else:
        yield "factory", model.factory
    inputs = _as_in_a_table(options.inputs) if options.inputs else None
    given = {"positional": [*map(_value, options.positional)], "arguments": model.arguments, "inputs": inputs}
    given |= {"method": options.method if options.method != "forward" else None}
    given |= {
        "train": options.train,
        "dtype": options.dtype,
        "ranks": options.ranks,
        "backward": options.backward,
        "memory": options.memory,
        "optimizer": options.optimizer,
        "cache": options.cache,
    }
    yield from ((key, value) for key, value in given.items() if value or (key == "inputs" and value is not None))


def _as_toml(value: Any) -> str:
    """Return a value of TOML on one line."""
    if isinstance(value, Mapping):
        pairs = [f"{tomlkit.key(key).as_string()} = {_as_toml(inner)}" for key, inner in value.items()]
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    return str(tomlkit.item(value).as_string())


def _table(document: Any, *keys: str) -> Any:
    """Return the table at ``keys``, made where it is missing."""
    for key in keys:
        if key not in document:
            document.add(key, tomlkit.table(is_super_table=True))
        document = document[key]
        if not isinstance(document, Mapping):
            raise SourceError(f"{key} is no table in this file")
    return document
