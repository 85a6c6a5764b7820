"""A private name of another package: where it is, whether it behaves as expected, and what breaks without it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class PrivateName:
    """A private name, what breaks without it, and (for optional ones) what is done instead.

    ``path`` leads to the name from an imported module; attributes of operators are looked up on a sample operator.
    ``behaves`` returns whether the name does what is expected of it, where its presence alone does not say so.
    """

    path: str
    breaks: str
    instead: str = ""
    behaves: Callable[[], bool] | None = None


def look_up(path: str) -> Any:
    """Return what a dotted path names; raises ``AttributeError`` where there is no such thing."""
    first, *rest = path.split(".")
    value, reached = sys.modules[first], first
    for part in rest:
        reached = f"{reached}.{part}"
        if not hasattr(value, part) and hasattr(value, "__path__"):
            try:
                importlib.import_module(reached)
            except ModuleNotFoundError as error:
                raise AttributeError(reached) from error
        value = getattr(value, part)
    return value


def exists(path: str) -> bool:
    """Return whether the installed torch has a name."""
    try:
        look_up(path)
    except AttributeError:
        return False
    return True


def check(names: Iterable[PrivateName], exists: Callable[[str], bool] = exists) -> None:
    """Raise ``ImportError`` if a required name is missing or behaves otherwise, with what breaks without it."""
    names = list(names)
    problems = [f"{name.path} is missing: without it, {name.breaks}" for name in names if not exists(name.path)]
    if not problems:
        odd = [name for name in names if name.behaves is not None and not name.behaves()]
        problems = [f"{name.path} does not behave as expected: without that, {name.breaks}" for name in odd]
    if problems:
        lines = "\n  ".join(problems)
        raise ImportError(f"pytest-modelbudget cannot count models with torch {torch.__version__}:\n  {lines}")


def each(breaks: str, *paths: str, instead: str = "") -> list[PrivateName]:
    """Return several names that share what breaks without them."""
    return [PrivateName(path, breaks, instead) for path in paths]
