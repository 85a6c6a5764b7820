"""Which limits apply to one model: the table, then the marks from outer to inner, then the arguments of the call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pytest_modelbudget.budgets.declarations import Declaration
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.table import Entry, Table


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits that apply to one measured model."""

    limits: Mapping[str, Limit] = field(default_factory=dict)
    warns: Mapping[str, Limit] = field(default_factory=dict)
    message: str | None = None

    def __bool__(self) -> bool:
        return bool(self.limits or self.warns)


def budget_for(table: Table, names: tuple[str, ...], declarations: Iterable[Declaration] = ()) -> Budget:
    """Return the budget of the model that is called ``names[0]`` (and, before a mark named it, ``names[1]``).

    Per metric, the later wins: default, globs in the order of the file, the exact name, ``declarations`` in their
    order. A plain limit replaces the ``max`` alone, so that an inherited ``warn`` stays; ``None`` lifts both.
    """
    limits: dict[str, Limit | None] = {}
    warns: dict[str, Limit | None] = {}
    message = None
    for entry in _entries(table, names[0]):
        limits.update(entry.limits)
        warns.update(entry.warns)
        message = entry.message if entry.message is not None else message
    for declaration in declarations:
        if declaration.selects(*names):
            limits.update(declaration.limits)
            warns.update({metric: None for metric, limit in declaration.limits.items() if limit is None})
    return Budget(_kept(limits), _kept(warns), message)


def _entries(table: Table, name: str) -> Iterator[Entry]:
    yield table.default
    for pattern, entry in table.models.items():
        if pattern != name and fnmatchcase(name, pattern):
            yield entry
    if name in table.models:
        yield table.models[name]


def _kept(limits: Mapping[str, Limit | None]) -> dict[str, Limit]:
    return {metric: limit for metric, limit in limits.items() if limit is not None}
