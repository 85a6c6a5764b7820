"""Factories by name, ``acme.models:ResNet50``: imported as if Python ran in the project's folder."""

from __future__ import annotations

import importlib
import re
import sys
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class FactoryError(ValueError):
    """A module or an attribute that is not there, or no factory."""


def is_factory_name(text: object) -> bool:
    """Return whether ``text`` reads ``module:attribute``."""
    return isinstance(text, str) and _FACTORY.fullmatch(text) is not None


def imported(factory: str, folder: Path) -> Any:
    """Return what ``factory`` names, with the project in ``folder`` first on the path of imports.

    Raises FactoryError for a module or an attribute that is not there, and for a module of that name that is not the
    project's; what the module itself raises is not changed.
    """
    __tracebackhide__ = True
    where, _, attribute = factory.partition(":")
    place = _make_importable(where.partition(".")[0], folder)
    try:
        found: Any = importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        _refuse_another(factory, where, place)
        raise FactoryError(f"{factory} cannot be imported: there is no module {error.name}") from None
    _refuse_another(factory, where, place)
    for name in attribute.split("."):
        if not hasattr(found, name):
            meant = get_close_matches(name, dir(found), 1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            raise FactoryError(f"{factory} cannot be imported: {where} has no {name}{hint}")
        found = getattr(found, name)
    if not callable(found):
        raise FactoryError(f"{factory} is no factory: name a class or a function that returns a model")
    return found


def _make_importable(package: str, folder: Path) -> str:
    """Put the project, or its ``src``, first on the path of imports, as ``python -m pytest`` does, and return it."""
    source = folder / "src"
    inside = (source / package).is_dir() or (source / f"{package}.py").is_file()
    place = str(source if inside else folder)
    if place not in sys.path:
        sys.path.insert(0, place)
    return place


def _refuse_another(factory: str, where: str, place: str) -> None:
    """Raise FactoryError where the project in ``place`` has the module ``where``, and another one was imported.

    What a package that is the project's own imports is its affair: only packages without a file are looked into.
    """
    parts, path = where.split("."), [place]
    for name in (".".join(parts[:count]) for count in range(1, len(parts) + 1)):
        module, spec = sys.modules.get(name), PathFinder.find_spec(name, path)
        loaded = getattr(module, "__file__", None)
        if spec is None:
            return
        if spec.has_location and isinstance(loaded, str) and not _are_one(Path(spec.origin or ""), Path(loaded)):
            raise FactoryError(
                f"{factory} is ambiguous: the module {name} of the project is {spec.origin}, and {loaded} has been "
                "imported by that name: rename one of them"
            )
        if spec.has_location or loaded is not None or not hasattr(module, "__path__"):
            return
        path = [*(spec.submodule_search_locations or ())]


def _are_one(path: Path, loaded: Path) -> bool:
    """Return whether two files are one, or ``loaded`` is an installed copy; what is no file cannot be told apart."""
    try:
        if path.samefile(loaded):
            return True
        is_installed = not {"site-packages", "dist-packages"}.isdisjoint(loaded.parts)
        return is_installed and path.read_bytes() == loaded.read_bytes()
    except OSError:
        return True
