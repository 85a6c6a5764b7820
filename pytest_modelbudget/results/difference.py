"""What changed between two measurements of a model: module by module, exactly, and summing to the difference.

The modules of both trees are compared by what each costs by itself. A module that is gone and one that is new, of the
same class and the same cost with all below them, are one that moved: neither plus nor minus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Literal

from msgspec import Struct, structs

from pytest_modelbudget.measurement import Measurement, ModuleCost
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import grouped, without_numbers

Kind = Literal["grew", "shrank", "appeared", "vanished", "moved"]


class Change(Struct, frozen=True, omit_defaults=True):
    """Modules that changed in the same way: the equal layers of a model are one change.

    ``modules`` are their qualified names (``""`` is the model itself), as they are now, or as they were where they
    ``vanished``; one that is new, gone or moved stands for all below it. ``moved_from`` are the names before, in the
    same order. ``amount`` is what all of them together add to the metric, negative where they cost less.
    """

    kind: Kind
    modules: tuple[str, ...]
    cls: str
    amount: int
    moved_from: tuple[str, ...] = ()


class Difference(Struct, frozen=True):
    """The change of one metric, and the changes of modules behind it, most important first."""

    metric: str
    before: int
    after: int
    changes: tuple[Change, ...] = ()


def differences(before: Measurement, after: Measurement) -> tuple[Difference, ...]:
    """Return what changed, for every metric that both measured and that differs."""
    old = {module.name: module for module in before.modules.walk()}
    new = {module.name: module for module in after.modules.walk()}
    moved = _moved(old, new)
    found = []
    for metric in METRICS:
        values = getattr(before, metric), getattr(after, metric)
        if None not in values and values[0] != values[1]:
            changes = () if not METRICS[metric].has_parts else _folded(_changes(metric, old, new, moved))
            found.append(Difference(metric, *values, tuple(sorted(changes, key=_importance))))
    return tuple(found)


def _importance(change: Change) -> tuple[int, str]:
    return -abs(change.amount), change.modules[0]


def _moved(old: dict[str, ModuleCost], new: dict[str, ModuleCost]) -> dict[str, str]:
    """Return the old names of the modules that only got a new name, by that: all below them costs the same."""
    kinds: dict[object, int] = {}
    gone: dict[int, list[str]] = defaultdict(list)
    for name, kind in reversed(_kinds(old, kinds).items()):
        if name not in new and any(structs.astuple(old[name].total)):
            gone[kind].append(name)
    moved: dict[str, str] = {}
    taken: set[str] = set()
    sizes = {name: sum(1 for _ in module.walk()) for name, module in new.items()}
    for name, kind in sorted(_kinds(new, kinds).items(), key=lambda pair: -sizes[pair[0]]):  # whole parts first
        if name in old or name in moved:
            continue
        # The part may have moved already, within a larger one.
        while gone[kind] and gone[kind][-1] in taken:
            gone[kind].pop()
        if gone[kind]:
            before = gone[kind].pop()
            below = [module.name[len(name) :] for module in new[name].walk()]
            moved.update({name + key: before + key for key in below})
            taken.update(before + key for key in below)
    return moved


def _kinds(modules: dict[str, ModuleCost], kinds: dict[object, int]) -> dict[str, int]:
    """Return a number for each module: equal for modules of one class and cost that have equal parts of equal names."""
    found: dict[str, int] = {}
    for name, module in reversed(modules.items()):  # children come before their parents
        parts = tuple((child.name[len(name) :], found[child.name]) for child in module.children)
        found[name] = kinds.setdefault((module.cls, module.own, parts), len(kinds))
    return {name: found[name] for name in modules}


def _changes(
    metric: str, old: dict[str, ModuleCost], new: dict[str, ModuleCost], moved: dict[str, str]
) -> Iterator[Change]:
    """Yield what each module adds to a metric; a part that is new or gone as a whole is one change, with its total."""
    appeared = _topmost(new, old, {*moved})
    taken = {*moved.values()}
    vanished = _topmost(old, new, taken)
    for name, module in new.items():
        now = getattr(module.own, metric) or 0
        known = old.get(name)
        if name in moved:
            above, _, key = name.rpartition(".")
            # A module that moved with its parent is part of the parent's change.
            if above not in moved or moved[name] != f"{moved[above]}.{key}":
                yield Change("moved", (name,), module.cls, 0, (moved[name],))
        elif known is None:
            if amount := _amount(name, module, metric, appeared):
                yield Change("appeared", (name,), module.cls, amount)
        elif amount := now - (getattr(known.own, metric) or 0):
            yield Change("grew" if amount > 0 else "shrank", (name,), module.cls, amount)
    for name, module in old.items():
        if name not in new and name not in taken and (amount := _amount(name, module, metric, vanished)):
            yield Change("vanished", (name,), module.cls, -amount)


def _topmost(these: dict[str, ModuleCost], others: dict[str, ModuleCost], moved: set[str]) -> dict[str, bool]:
    """Return for each module that only one side has whether it stands for all below it: the topmost one does.

    It does not where a module below it moved, or is on the other side too.
    """
    found: dict[str, bool] = {}
    for name, module in these.items():  # parents come before their children
        if name not in others and name not in found:
            below = [part.name for part in module.walk()]
            if moved.isdisjoint(below) and not any(part in others for part in below):
                found.update(dict.fromkeys(below, False))
                found[name] = True
    return found


def _amount(name: str, module: ModuleCost, metric: str, topmost: dict[str, bool]) -> int:
    """Return what a module that is new or gone adds: its total where it stands for all below it, and else its own."""
    if name not in topmost:
        return getattr(module.own, metric) or 0
    return (getattr(module.total, metric) or 0) if topmost[name] else 0


def _folded(changes: Iterable[Change]) -> list[Change]:
    """Return one change for those that differ in nothing but the numbers in their names: ``layers.*.up``."""

    def what_is_alike(change: Change) -> Hashable:
        # Layers that grew by different amounts stay apart: the change says by how much each did.
        each = change.amount if change.kind != "moved" else 0
        return change.kind, change.cls, each, *map(without_numbers, (*change.modules, *change.moved_from))

    return [
        structs.replace(
            group[0],
            modules=tuple(name for change in group for name in change.modules),
            moved_from=tuple(name for change in group for name in change.moved_from),
            amount=sum(change.amount for change in group),
        )
        for group in grouped(changes, what_is_alike)
    ]
