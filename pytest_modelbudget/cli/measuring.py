"""``modelbudget measure`` and ``modelbudget init``: what factories build, without a test."""

from __future__ import annotations

import traceback
from argparse import Namespace
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from pytest_modelbudget.cli.sources import SourceError, write
from pytest_modelbudget.factories import FactoryError, imported, is_factory_name
from pytest_modelbudget.measurement import Measurement, rounded_up
from pytest_modelbudget.reports.comparison import side_by_side
from pytest_modelbudget.specs import Inputs, SpecError, parse_inputs

_LIMITED = ("params", "macs", "training_macs")
"""The metrics of which a new entry limits each that was measured."""


def measure_all(options: Namespace) -> int:
    """Measure every factory, and print what was found. The exit code is 1 where a count is only a lower bound."""
    found = [_measure(factory, options) for factory in options.factories]
    if options.format == "json":
        text = msgspec.json.format(msgspec.json.encode([one.as_dict() for one in found]), indent=2).decode()
    elif options.format == "markdown":
        text = side_by_side(found)
    else:
        text = "\n\n".join(_shown(one, factory, options) for one, factory in zip(found, options.factories, strict=True))
    print(text)
    return int(not all(one.complete for one in found))


def init(options: Namespace) -> int:
    """Write an entry for every factory into the table, and none that exists already."""
    path = Path(options.config)
    try:
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
        document = tomlkit.parse(before)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    known = _table(document, "tool", "modelbudget", "models")
    names = [_name(factory) for factory in options.factories]
    twice = [name for name in names if name in known or names.count(name) > 1]
    if twice:
        raise SourceError(
            f"{path}: there is an entry [tool.modelbudget.models.{twice[0]}] already; nothing was written"
        )
    for name, factory in zip(names, options.factories, strict=True):
        known.add(name, _entry(_measure(factory, options), factory, options))
    text = tomlkit.dumps(document)
    write(path, text.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in before else text)
    print(f"{path}: {', '.join(names)}")
    return 0


def _measure(factory: str, options: Namespace) -> Measurement:
    """Return the measurement of one factory. Raises SourceError, on one line, for whatever goes wrong."""
    from pytest_modelbudget.counting import measure

    if not is_factory_name(factory):
        raise SourceError(f'{factory}: a factory is "module:attribute", as in acme.models:ResNet50')
    inputs = _inputs(options.inputs)
    try:
        build = imported(factory, Path.cwd())
        arguments = dict(map(_argument, options.arguments))
        return measure(
            partial(build, **arguments) if arguments else build,
            input_size=None if inputs is None else inputs.as_input_size(),
            method=options.method,
            name=_name(factory),
            backward=options.backward,
        )
    except FactoryError as error:
        raise SourceError(str(error)) from None
    except Exception as error:
        if options.verbose:
            traceback.print_exc()
        hint = "" if options.verbose else " (-v shows where)"
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        notes: list[str] = getattr(error, "__notes__", [])
        raise SourceError(f"{factory}: {'; '.join([reason, *notes])}{hint}") from None


def _inputs(given: list[str]) -> Inputs | None:
    """Return the inputs of the command line: specs by position, or all of them as ``keyword=spec``."""
    if not given:
        return None
    pairs = [text.partition("=") for text in given]
    try:
        if all(equal for _, equal, _ in pairs):
            inputs = parse_inputs({key.strip(): spec for key, _, spec in pairs})
        else:
            inputs = parse_inputs(given)
    except SpecError as error:
        raise SourceError(f"--inputs: {error}") from None
    if inputs.steps > 1:
        raise SourceError("--inputs: a range of sizes belongs to scaling, in the table")
    return inputs


def _argument(text: str) -> tuple[str, Any]:
    """Return the name and value of ``depth=50``; the value is one of TOML, or else a string."""
    key, equal, value = text.partition("=")
    if not equal or not key.isidentifier():
        raise SourceError(f"--arguments {text}: write name=value, as in depth=50")
    try:
        return key, tomlkit.parse(f"x = {value}").unwrap()["x"]
    except TOMLKitError:
        return key, value


def _name(factory: str) -> str:
    return factory.rpartition(":")[2].rpartition(".")[2]


def _shown(measurement: Measurement, factory: str, options: Namespace) -> str:
    tables = tomlkit.document()
    _table(tables, "tool", "modelbudget", "models").add(measurement.name, _entry(measurement, factory, options))
    how = f"{measurement.run} run" if measurement.run else "nothing was run: give --inputs"
    return "\n".join(
        (f"{measurement.headline()} ({how})", "", measurement.tree(options.depth), "", tomlkit.dumps(tables).strip())
    )


def _entry(measurement: Measurement, factory: str, options: Namespace) -> tomlkit.items.Table:
    """Return the entry of a model, with limits that it just keeps."""
    entry = tomlkit.table()
    for key, value in _keys(factory, options):
        entry.add(key, value)
    for metric in _LIMITED:
        value = getattr(measurement, metric)
        if value is not None:
            entry.add(metric, rounded_up(value, metric))
    return entry


def _keys(factory: str, options: Namespace) -> Iterator[tuple[str, Any]]:
    yield "factory", factory
    if options.arguments:
        yield "arguments", _inline(dict(map(_argument, options.arguments)))
    if options.inputs:
        pairs = [text.partition("=") for text in options.inputs]
        if all(equal for _, equal, _ in pairs):
            yield "inputs", _inline({key.strip(): spec for key, _, spec in pairs})
        else:
            yield "inputs", options.inputs[0] if len(options.inputs) == 1 else options.inputs
    if options.method != "forward":
        yield "method", options.method
    if options.backward:
        yield "backward", True


def _inline(values: Mapping[str, Any]) -> tomlkit.items.InlineTable:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _table(document: Any, *keys: str) -> Any:
    """Return the table at ``keys``, made where it is missing."""
    for key in keys:
        if key not in document:
            document.add(key, tomlkit.table(is_super_table=True))
        document = document[key]
        if not isinstance(document, Mapping):
            raise SourceError(f"{key} is no table in this file")
    return document
