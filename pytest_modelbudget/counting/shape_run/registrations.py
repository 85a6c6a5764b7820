"""What a factory registers in modules that existed before, to be taken back where it has no data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from torch import nn

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.torch_private import registration_hooks

_ABSENT = object()


class Registrations:
    """The modules, parameters and buffers that are registered in modules which held some when the build began.

    A module that a factory makes is empty when something is first registered in it, and is not followed.
    """

    def __init__(self) -> None:
        self._noted: list[tuple[ref[nn.Module], str, str, Any]] = []

    def note(self, changes: Changes) -> None:
        """Note what is registered from here on."""
        made_here: set[int] = set()
        for table, hooks in registration_hooks.items():
            noting = self._noting(table, made_here)
            changes.undo_by(partial(_remove, hooks, id(noting)))
            hooks[id(noting)] = noting

    def _noting(self, table: str, made_here: set[int]) -> Callable[[nn.Module, str, Any], None]:
        noted = self._noted

        def note(module: nn.Module, name: str, _: Any) -> None:
            if id(module) in made_here:
                return
            tables = module.__dict__
            if tables["_modules"] or tables["_parameters"] or tables["_buffers"]:
                noted.append((ref(module), table, name, tables[table].get(name, _ABSENT)))
            else:
                made_here.add(id(module))

        return note

    def take_back(self) -> None:
        """Put back what modules held before, the last first."""
        while self._noted:
            reference, table, name, before = self._noted.pop()
            module = reference()
            if module is not None and before is _ABSENT:
                module.__dict__[table].pop(name, None)
            elif module is not None:
                module.__dict__[table][name] = before


def _remove(hooks: dict[int, Any], key: int) -> None:
    hooks.pop(key, None)
