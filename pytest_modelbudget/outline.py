"""The module tree and the operators of a measurement as people read them: repeated layers are one line.

The 32 equal blocks of a transformer are ``0-31 (Block) x32``, and what stands in such a line is the sum over all of
them, so that the shares of a tree add up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count

from pytest_modelbudget.costs import ModuleCost, OperatorCost, exactly, human, percent
from pytest_modelbudget.metrics import METRICS

FITTING = 40
"""Lines that a tree has by default: a screen."""

_DIGITS = re.compile(r"\d+")
_LONGEST_KEYS = 16


@dataclass(slots=True)
class Branch:
    """Sibling modules that are equal but for the numbers in their names, and what is below them.

    ``first`` is one of them; ``count`` is how many the whole tree has, under repeated parents too, and ``keys`` are
    their names in the parent. ``calls``, ``own`` and ``total`` of ``first`` are those of each.
    """

    first: ModuleCost
    keys: list[str]
    count: int = 1
    children: list[Branch] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The number of modules in this branch."""
        return self.count + sum(child.size for child in self.children)

    def value(self, metric: str) -> int | None:
        """Return what all modules of this branch cost."""
        value: int | None = getattr(self.first.total, metric)
        return None if value is None else value * self.count

    def walk(self, is_open: Callable[[Branch, int], bool], level: int = 0) -> Iterator[tuple[int, Branch]]:
        """Yield this branch and what is below those that are open, each with its level."""
        yield level, self
        if is_open(self, level):
            for child in self.children:
                yield from child.walk(is_open, level + 1)


@dataclass(frozen=True, slots=True)
class Group:
    """Modules whose names differ in numbers alone, wherever they are in the tree, and what all of them cost."""

    names: tuple[str, ...]
    cls: str
    cost: int

    @property
    def name(self) -> str:
        """Their names as one: ``layers.*.mlp.gate_proj``."""
        return pattern(self.names)


def folded(root: ModuleCost) -> Branch:
    """Return the tree below ``root`` with equal siblings as one branch."""
    kinds: dict[Hashable, int] = {}

    def fold(module: ModuleCost) -> tuple[int, Branch]:
        below: dict[tuple[str, int], Branch] = {}
        for child in module.children:
            kind, branch = fold(child)
            key = branch.keys[0]
            known = below.setdefault((_DIGITS.sub("*", key), kind), branch)
            if known is not branch:
                known.keys.append(key)
        children = list(below.values())
        parts = tuple((tuple(child.keys), kind) for (_, kind), child in below.items())
        shape = (module.cls, module.calls, module.own, module.outputs, parts)
        key = module.name.rpartition(".")[2]
        return kinds.setdefault(shape, len(kinds)), Branch(module, [key], 1, children)

    _, branch = fold(root)
    _multiply(branch, 1)
    return branch


def _multiply(branch: Branch, times: int) -> None:
    branch.count = times * len(branch.keys)
    for child in branch.children:
        _multiply(child, branch.count)


def worth_opening(root: Branch, metric: str, lines: int) -> set[int]:
    """Return the branches, by identity, to open so that no more than ``lines`` are shown: the costliest ones first."""
    opened, shown, order = {id(root)}, 1 + len(root.children), count()
    waiting = [(-(child.value(metric) or 0), next(order), child) for child in root.children]
    heapify(waiting)
    while waiting:
        branch = heappop(waiting)[2]
        if branch.children and shown + len(branch.children) <= lines:
            opened.add(id(branch))
            shown += len(branch.children)
            for child in branch.children:
                heappush(waiting, (-(child.value(metric) or 0), next(order), child))
    return opened


def tree(
    root: ModuleCost,
    name: str,
    depth: int | None = None,
    *,
    lines: int = FITTING,
    exact: bool = False,
    outputs: bool = False,
) -> list[str]:
    """Return the tree as lines: a heading, a line for each branch, and how many modules are not shown.

    Without ``depth`` it opens the costliest branches as far as fits into ``lines``; where even the first level does not
    fit, its heaviest branches are shown. ``exact`` shows every digit, ``outputs`` the shapes that the modules return.
    """
    whole = folded(root)
    basis = "macs" if root.total.macs else "params"
    opened = worth_opening(whole, basis, lines) if depth is None else ()
    shown = list(whole.walk(lambda branch, level: id(branch) in opened if depth is None else level < depth))
    too_many = sorted((one for _, one in shown[1:]), key=lambda one: -(one.value(basis) or 0))[lines - 1 :]
    left_out = [] if depth is not None else too_many
    hidden = {id(branch) for branch in left_out}
    shown = [(level, branch) for level, branch in shown if id(branch) not in hidden]
    number, total = exactly if exact else human, getattr(root.total, basis) or 0
    rows = [
        (
            "  " * level + label(branch, name),
            _sizes(branch.first) if outputs else "",
            number(branch.value("params")),
            number(branch.value("macs")),
            percent(branch.value(basis) or 0, total) if branch.value(basis) else "",
            f"called {branch.first.calls:,} times" if branch.first.calls > 1 else "",
        )
        for level, branch in shown
    ]
    share = f"of {METRICS[basis].label}"
    text = table(rows, ("module", "output", "params", "MACs", share, ""), left=("module", "output", ""))
    missing = whole.size - sum(branch.count for _, branch in shown)
    if missing:
        rest = percent(sum(branch.value(basis) or 0 for branch in left_out), total)
        text.append(f"+ {missing:,} more module{'s' * (missing > 1)} {f'with {rest}' if left_out else 'further below'}")
    return text


def label(branch: Branch, root: str) -> str:
    """Return the name, class and number of a branch: ``0-31 (Block) x32``; ``root`` is the model's name."""
    times = f" x{branch.count:,}" if branch.count > 1 else ""
    return f"{keys(branch.keys) or root} ({branch.first.cls}){times}"


def _sizes(module: ModuleCost) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in module.outputs)


def operators(
    costs: Iterable[OperatorCost], name: str, limit: int | None, *, exact: bool = False, free: bool = False
) -> list[str]:
    """Return the operators as lines, the heaviest first; those of repeated layers are one line.

    Beyond ``limit``, and without MACs unless ``free`` is set, they are counted.
    """
    groups: dict[Hashable, list[OperatorCost]] = {}
    for cost in costs:
        groups.setdefault((cost.name, _DIGITS.sub("*", cost.module)), []).append(cost)
    ranked = sorted(groups.values(), key=lambda group: (-_macs(group), group[0].module, group[0].name))
    total = sum(map(_macs, ranked))
    told = [group for group in ranked if free or _macs(group)]
    shown = told if limit is None else told[:limit]
    number = exactly if exact else human
    rows = [
        [
            group[0].name,
            (pattern([one.module for one in group]) or name) + (f" x{len(group):,}" if len(group) > 1 else ""),
            f"{sum(one.calls for one in group):,}",
            number(_macs(group)),
            percent(_macs(group), total),
        ]
        for group in shown
    ]
    text = table(rows, ["operator", "module", "calls", "MACs", "of MACs"], left=("operator", "module"))
    if len(shown) < len(told):
        rest = sum(map(_macs, told[len(shown) :]))
        text.append(f"+ {len(told) - len(shown):,} more with {percent(rest, total) or 'no MACs'}")
    if len(told) < len(ranked):
        text.append(f"+ {len(ranked) - len(told):,} without MACs")
    return text


def heaviest(root: ModuleCost, metric: str) -> list[Group]:
    """Return the modules that cost something by themselves, those alike as one group, the heaviest first."""
    alike: dict[Hashable, list[ModuleCost]] = {}
    for module in root.walk():
        if getattr(module.own, metric):
            alike.setdefault((_DIGITS.sub("*", module.name), module.cls), []).append(module)
    groups = [
        Group(tuple(one.name for one in group), group[0].cls, sum(getattr(one.own, metric) for one in group))
        for group in alike.values()
    ]
    return sorted(groups, key=lambda group: -group.cost)


def pattern(names: Sequence[str]) -> str:
    """Return names that differ in some parts as one: ``layers.*.up``, ``layer*.*.conv1``."""
    parts = [name.split(".") for name in names]
    if len({len(one) for one in parts}) != 1:
        return ", ".join(names)
    return ".".join(_common(column) for column in zip(*parts, strict=True))


def _common(column: Sequence[str]) -> str:
    if len({*column}) == 1:
        return column[0]
    without_numbers = {_DIGITS.sub("*", one) for one in column}
    return without_numbers.pop() if len(without_numbers) == 1 else "*"


def keys(names: Sequence[str]) -> str:
    """Return the names of siblings as one: ``0-31``, ``conv1, conv3``, or ``*`` where that would be long."""
    if len(names) == 1:
        return names[0]
    if not all(name.isdecimal() for name in names):
        text = ", ".join(names)
        return text if len(text) <= _LONGEST_KEYS else pattern(names)
    runs: list[list[int]] = []
    for number in map(int, names):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return text if len(text) <= _LONGEST_KEYS else "*"


def table(rows: Sequence[Sequence[str]], headings: Sequence[str], left: Iterable[str]) -> list[str]:
    """Return rows below their headings; columns that are empty in every row are left out."""
    from tabulate import tabulate

    kept = [place for place in range(len(headings)) if place == 0 or not rows or any(row[place] for row in rows)]
    lines = tabulate(
        [[row[place] for place in kept] for row in rows],
        headers=[headings[place] for place in kept],
        tablefmt="plain",
        colalign=["left" if headings[place] in left else "right" for place in kept],
        disable_numparse=True,
        preserve_whitespace=True,
    ).splitlines()
    return [line.rstrip() for line in lines]


def _macs(group: Iterable[OperatorCost]) -> int:
    return sum(one.macs for one in group)
