"""Objects by name, ``acme.models:ResNet50``: imported as if Python ran in the project's folder, and called."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_CALLED = frozenset(("factory", "positional", "arguments"))
"""The keys of a table that stands for what a factory returns."""


ARTIFACTS = (".pt2", ".safetensors", ".safetensors.index.json")
"""How the names of files end that are measured in place of a model: a program first, and then weights."""


class FactoryError(ValueError):
    """A module or an attribute that is not there, or an object that cannot be called."""


def is_name_of_object(text: object) -> bool:
    """Return whether ``text`` reads ``module:attribute``."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def named_in(value: object) -> str | None:
    """Return which object a table of arguments stands for: ``{ object = ... }``, or what ``{ factory = ... }`` returns.

    A table with any other key is a dict, and stands for itself: None.
    """
    if not isinstance(value, Mapping):
        return None
    if value.keys() == {"object"}:
        return str(value["object"])
    return str(value["factory"]) if "factory" in value and value.keys() <= _CALLED else None


def builder(
    factory: str, positional: Sequence[Any], arguments: Mapping[str, Any], folder: Path | None
) -> Callable[..., Any]:
    """Return a function that calls ``factory`` with arguments as a table writes them; ``"None"`` is None.

    Everything is imported now, and what the arguments stand for is built at each call. Raises FactoryError for a name
    that cannot be imported.
    """
    if not positional and not arguments:
        return _function(factory, folder)
    build = _call(factory, positional, arguments, folder)
    build.__name__ = last_name(factory)
    return build


def optimizer_maker(optimizer: str | Mapping[str, Any], folder: Path | None) -> Callable[[Any], Any]:
    """Return what makes an optimizer of parameters, as ``"torch.optim:AdamW"`` or a table with its arguments does.

    Raises FactoryError for a name that cannot be imported.
    """
    table: Mapping[str, Any] = {"factory": optimizer} if isinstance(optimizer, str) else optimizer
    return builder(table["factory"], table.get("positional", ()), table.get("arguments", {}), folder)


def described(factory: str, positional: Sequence[Any], arguments: Mapping[str, Any]) -> str:
    """Return a call as people write it: ``model:GPT(model:GPTConfig(n_layer=12))``."""
    given = [*map(_described, positional), *(f"{key}={_described(value)}" for key, value in arguments.items())]
    return f"{factory}({', '.join(given)})"


def example_inputs(function: str, folder: Path | None) -> tuple[Any, dict[str, Any]]:
    """Return ``args`` and ``kwargs`` as ``function`` gives them, which is called once.

    ``(tuple, dict)`` are both, a dict is ``kwargs``, a tuple is ``args``, and anything else is one argument. Raises
    FactoryError for a function that cannot be imported.
    """
    given = _function(function, folder)()
    if type(given) is tuple and [*map(type, given)] == [tuple, dict]:
        return given
    if isinstance(given, dict):
        return (), given
    return (given if type(given) is tuple else (given,)), {}


def last_name(name: str) -> str:
    """Return the name that an object has in its module or class: ``Net`` of ``acme.models:Net``."""
    return name.rpartition(":")[2].rpartition(".")[2]


def _call(
    factory: str, positional: Sequence[Any], arguments: Mapping[str, Any], folder: Path | None
) -> Callable[..., Any]:
    function = _function(factory, folder)
    values = [_value(given, folder) for given in positional]
    keywords = {key: _value(given, folder) for key, given in arguments.items()}

    def call(*given: Any) -> Any:
        return function(*given, *[value() for value in values], **{key: value() for key, value in keywords.items()})

    return call


def _value(given: Any, folder: Path | None) -> Callable[[], Any]:
    """Return what makes the value that an argument stands for."""
    name = named_in(given)
    if name is not None and "factory" in given:
        return _call(name, given.get("positional", ()), given.get("arguments", {}), folder)
    if name is None and isinstance(given, Mapping):
        keywords = {key: _value(inner, folder) for key, inner in given.items()}
        return lambda: {key: value() for key, value in keywords.items()}
    if isinstance(given, list):
        values = [_value(inner, folder) for inner in given]
        return lambda: [value() for value in values]
    found = imported(name, folder) if name is not None else None if given == "None" else given
    return lambda: found


def _described(given: Any) -> str:
    name = named_in(given)
    if name is None:
        return "None" if given == "None" else repr(given)
    if "object" in given:
        return name
    return described(name, given.get("positional", ()), given.get("arguments", {}))


def _function(name: str, folder: Path | None) -> Callable[..., Any]:
    found = imported(name, folder)
    if not callable(found):
        raise FactoryError(f"{name} cannot be called: name a class or a function")
    return uncached(found)


def uncached(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function below ``functools.cache``: a model without weights must not end up in a cache."""
    while hasattr(function, "cache_info") and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def imported(name: str, folder: Path | None) -> Any:
    """Return the object called ``name``, with the project in ``folder``, if any, first on the path of imports.

    Raises FactoryError for a module or an attribute that is not there, and for a module of that name that is not the
    project's; what the module itself raises is not changed.
    """
    __tracebackhide__ = True
    where, _, attribute = name.partition(":")
    place = None if folder is None else _make_importable(where.partition(".")[0], folder)
    try:
        found: Any = importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        if place is not None:
            _refuse_another(name, where, place)
        raise FactoryError(f"{name} cannot be imported: there is no module {error.name}") from None
    if place is not None:
        _refuse_another(name, where, place)
    for part in attribute.split("."):
        if not hasattr(found, part):
            meant = get_close_matches(part, dir(found), 1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            raise FactoryError(f"{name} cannot be imported: {where} has no {part}{hint}")
        found = getattr(found, part)
    return found


def _make_importable(package: str, folder: Path) -> str:
    """Put the project, or its ``src``, first on the path of imports, as ``python -m pytest`` does, and return it."""
    source = folder / "src"
    inside = (source / package).is_dir() or (source / f"{package}.py").is_file()
    place = str(source if inside else folder)
    if place not in sys.path:
        sys.path.insert(0, place)
    return place


def _refuse_another(name: str, where: str, place: str) -> None:
    """Raise FactoryError where the project in ``place`` has the module ``where``, and another one was imported.

    What a package that is the project's own imports is its affair: only packages without a file are looked into.
    """
    parts, path = where.split("."), [place]
    for package in (".".join(parts[:count]) for count in range(1, len(parts) + 1)):
        module, spec = sys.modules.get(package), PathFinder.find_spec(package, path)
        loaded = getattr(module, "__file__", None)
        if spec is None:
            return
        if spec.has_location and isinstance(loaded, str) and not _are_one(Path(spec.origin or ""), Path(loaded)):
            raise FactoryError(
                f"{name} is ambiguous: the module {package} of the project is {spec.origin}, and {loaded} has been "
                "imported by that name: rename one of them"
            )
        if spec.has_location or loaded is not None or not hasattr(module, "__path__"):
            return
        path = [*(spec.submodule_search_locations or ())]


def _are_one(path: Path, loaded: Path) -> bool:
    """Return whether two files are the same, or ``loaded`` is an installed copy, or they cannot be compared."""
    try:
        if path.samefile(loaded):
            return True
        is_installed = not {"site-packages", "dist-packages"}.isdisjoint(loaded.parts)
        return is_installed and path.read_bytes() == loaded.read_bytes()
    except OSError:
        return True
