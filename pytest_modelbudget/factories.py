"""Factories by name, ``acme.models:ResNet50``: imported as if Python ran in the project's folder."""

from __future__ import annotations

import importlib
import re
import sys
from difflib import get_close_matches
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

    Raises FactoryError for a module or an attribute that is not there; what the module itself raises is not changed.
    """
    __tracebackhide__ = True
    where, _, attribute = factory.partition(":")
    _make_importable(where.partition(".")[0], folder)
    try:
        found: Any = importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise
        raise FactoryError(f"{factory} cannot be imported: there is no module {error.name}") from None
    for name in attribute.split("."):
        if not hasattr(found, name):
            meant = get_close_matches(name, dir(found), 1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            raise FactoryError(f"{factory} cannot be imported: {where} has no {name}{hint}")
        found = getattr(found, name)
    if not callable(found):
        raise FactoryError(f"{factory} is no factory: name a class or a function that returns a model")
    return found


def _make_importable(package: str, folder: Path) -> None:
    """Put the project, or its ``src``, first on the path of imports, as ``python -m pytest`` does."""
    source = folder / "src"
    inside = (source / package).is_dir() or (source / f"{package}.py").is_file()
    place = str(source if inside else folder)
    if place not in sys.path:
        sys.path.insert(0, place)
