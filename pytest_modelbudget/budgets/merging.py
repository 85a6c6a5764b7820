"""Which rules apply to one model: the table, then the marks from outer to inner, then the arguments of the call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePath

from msgspec import Struct, field, structs

from pytest_modelbudget.budgets.config import Table
from pytest_modelbudget.budgets.declared import DeclaredModel
from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.rules import Rules
from pytest_modelbudget.metrics import METRICS

_GLOB = frozenset("*?[")


class Budget(Struct, frozen=True):
    """The rules that apply to one measured model, merged. Where the growth of a metric is ``None``, none is forbidden.

    ``parts`` are the budgets of its modules, by the names or patterns that select them.
    """

    limits: Mapping[str, Limit] = field(default_factory=dict)
    warns: Mapping[str, Limit] = field(default_factory=dict)
    message: str | None = None
    growths: Mapping[str, Growth | None] = field(default_factory=dict)
    floors: Mapping[str, Limit] = field(default_factory=dict)
    parts: Mapping[str, Budget] = field(default_factory=dict)

    @property
    def limited(self) -> frozenset[str]:
        """The metrics that have a limit or a warning, of the model or of a part."""
        of_parts = (metric for part in self.parts.values() for metric in part.limited)
        return frozenset((*self.limits, *self.warns, *of_parts))

    @property
    def wanted(self) -> frozenset[str]:
        """The metrics that have to be measured: those with a limit, and sizes of files with a growth."""
        grown = (metric for metric, growth in self.growths.items() if growth and METRICS[metric].is_of_file)
        return self.limited.union(grown)

    def __bool__(self) -> bool:
        return bool(self.limits or self.warns or self.parts)


def budget_for(
    table: Table, names: tuple[str, ...], declared: Iterable[Rules] = (), lacking: Collection[str] = ()
) -> Budget:
    """Return the budget of the model that is called ``names[0]`` (and, before a mark named it, ``names[1]``).

    Per metric, the later wins: what the table says for everything, default, globs in the order of the file, the exact
    name, the rules that marks and call ``declared``, in their order. A limit replaces an inherited ``max`` alone, so
    that ``warn`` and ``growth`` stay; ``None`` lifts all three. What is said for many models does not hold for the
    metrics that this one is ``lacking``: those of a file, where it is none.
    """
    applied = [*_of_table(table, names[0], lacking), *(rules for rules in declared if rules.selects(*names))]
    parts: dict[str, list[Rules]] = {}
    for rules in applied:
        for part in (*rules.parts, *([rules] if rules.module is not None else ())):
            parts.setdefault(part.module or "", []).append(part)
    whole = _merged([rules for rules in applied if rules.module is None])
    return structs.replace(whole, parts={pattern: _merged(found) for pattern, found in parts.items()})


def _merged(applied: Iterable[Rules]) -> Budget:
    limits: dict[str, Limit | None] = {}
    warns: dict[str, Limit | None] = {}
    growths: dict[str, Growth | None] = {}
    floors: dict[str, Limit | None] = {}
    message = None
    for rules in applied:
        limits.update(rules.limits)
        warns.update(rules.warns)
        growths.update(rules.growths)
        floors.update(rules.floors)
        message = message if rules.message is None else rules.message
    return Budget(_kept(limits), _kept(warns), message, growths, _kept(floors))


def stale_entries(table: Table, names: Iterable[str]) -> dict[str, Rules]:
    """Return the entries for one exact name that none of the measured models, by ``names``, has.

    Entries that declare a model are not among them: each has an item of its own.
    """
    measured = {*names, *(declared.name for declared in table.declared)}
    return {
        name: rules for name, rules in table.models.items() if name not in measured and not _GLOB.intersection(name)
    }


def unrun_declarations(table: Table, tests: Iterable[str]) -> Iterator[DeclaredModel]:
    """Yield the declared models whose own item is not among ``tests``, the node ids of the tests that were reported.

    xdist appends the group of a test to its node id, after an ``@``.
    """
    if not table.declared:
        return
    split = (test.partition("::") for test in tests)
    run = {name for path, _, name in split if PurePath(path).name == PurePath(table.path).name}
    names = {declared.name for declared in table.declared}
    run |= {name.rpartition("@")[0] for name in run - names}
    yield from (declared for declared in table.declared if declared.name not in run)


def _of_table(table: Table, name: str, lacking: Collection[str]) -> Iterator[Rules]:
    patterns = [rules for key, rules in table.models.items() if key != name and fnmatchcase(name, key)]
    for rules in (table.everywhere, table.default, *patterns):
        yield rules.without(lacking) if lacking else rules
    if name in table.models:
        yield table.models[name]


def _kept(limits: Mapping[str, Limit | None]) -> dict[str, Limit]:
    return {metric: limit for metric, limit in limits.items() if limit is not None}
