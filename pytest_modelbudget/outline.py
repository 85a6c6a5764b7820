"""The module tree and the operators of a measurement as people read them: repeated layers are one line.

The 32 equal blocks of a transformer are ``0-31 (Block) x32``, and what stands in such a line is the sum over all of
them, so that the shares of a tree add up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import structs

from pytest_modelbudget.costs import ModuleCost, OperatorCost, exactly, human, percent
from pytest_modelbudget.folding import FoldedModule, fold_modules
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import grouped, keys, pattern, times, without_numbers

FITTING = 40
"""Lines that a tree has by default: a screen."""


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """Sibling modules that are alike but for the numbers in their names, and what is below them.

    ``module`` is the first of them, and ``keys`` are their names in the parent; ``count`` is how many the whole tree
    has, under repeated parents too, and ``total`` is what all of these cost, by metric.
    """

    module: FoldedModule
    keys: list[str]
    count: int
    total: dict[str, int | None]
    children: list[Branch]

    @property
    def size(self) -> int:
        """The number of modules in this branch."""
        return self.count + sum(child.size for child in self.children)

    def walk(self, level: int = 0) -> Iterator[tuple[int, Branch]]:
        """Yield this branch and all below it, each with its level."""
        yield level, self
        for child in self.children:
            yield from child.walk(level + 1)


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


_Equal = list[tuple[FoldedModule, str, int]]
"""Equal modules, each with its name in its parent, and how often the whole tree has it."""


def folded(root: ModuleCost, alike: Collection[str] = ()) -> Branch:
    """Return the tree below ``root`` with equal siblings as one branch, if they differ in numbers alone.

    So are siblings of one class that cost nearly the same, by the metrics ``alike``.
    """
    return _branch([(fold_modules(root, aliases=False), 1)], [""], alike)


def _branch(modules: list[tuple[FoldedModule, int]], keys: list[str], alike: Collection[str]) -> Branch:
    """Return the branch of modules, each of which the whole tree has so many times."""
    below = [(child, key, number) for module, number in modules for child, key in module.in_order()]
    equal = grouped(below, lambda found: (id(found[0]), without_numbers(found[1])))
    families = grouped(equal, lambda found: (found[0][0].cls, found[0][0].calls, without_numbers(found[0][1])))
    order = {id(found): place for place, found in enumerate(equal)}
    siblings = [some for family in families for some in _as_one(family, alike)]
    children = [
        _branch(
            [(found[0][0], sum(number for *_, number in found)) for found in some],
            [*dict.fromkeys(key for found in some for _, key, _ in found)],
            alike,
        )
        for some in sorted(siblings, key=lambda some: order[id(some[0])])
    ]
    costs = [(structs.asdict(module.total()), number) for module, number in modules]
    total = {
        metric: None if each is None else sum(cost[metric] * number for cost, number in costs)
        for metric, each in costs[0][0].items()
    }
    return Branch(modules[0][0], keys, sum(number for _, number in modules), total, children)


def _as_one(family: list[_Equal], alike: Collection[str]) -> list[list[_Equal]]:
    """Return what is one branch: modules of one name, in parents that are one, or that differ by a tenth at most."""
    costs = [structs.asdict(found[0][0].total()) for found in family] if alike else []
    values = [[cost[metric] or 0 for cost in costs] for metric in alike]
    nearly_equal = bool(costs) and all(10 * max(found) <= 11 * min(found) for found in values)
    if nearly_equal or len({key for found in family for _, key, _ in found}) == 1:
        return [family]
    return [[found] for found in family]


def _worth_showing(root: Branch, metric: str, lines: int) -> list[Branch]:
    """Return at most ``lines`` branches: the model, its heaviest ones, and what is below the costliest of those."""
    closed = sorted(root.children, key=lambda branch: -(branch.total[metric] or 0))[: lines - 1]
    shown = [root, *closed]
    while closed:
        costliest = max(closed, key=lambda branch: branch.total[metric] or 0)
        closed.remove(costliest)
        if len(shown) + len(costliest.children) <= lines:
            shown += costliest.children
            closed += costliest.children
    return shown


@dataclass(frozen=True, slots=True)
class Outline:
    """The branches of a tree that are shown, each with its level and its share of ``basis``, and how many are not."""

    basis: str
    shown: list[tuple[int, Branch, str]]
    rest: str


def outlined(
    root: ModuleCost, depth: int | None = None, lines: int = FITTING, metric: str = "", *, alike: bool = True
) -> Outline:
    """Return what to show of a tree, by ``metric`` if the model costs any.

    Without ``depth`` it is its costliest branches, as far as they fit into ``lines``, and siblings that are nearly
    ``alike`` are one of them.
    """
    basis = next(one for one in (metric, "macs", "params") if one == "params" or getattr(root.total, one, None))
    whole = folded(root, {basis, "params"} if alike and depth is None else ())
    fitting = [] if depth is not None else _worth_showing(whole, basis, lines)
    total = whole.total[basis] or 0
    shown = [
        (level, branch, percent(branch.total[basis] or 0, total) if branch.total[basis] else "")
        for level, branch in whole.walk()
        if (branch in fitting if depth is None else level <= max(depth, 0))
    ]
    missing = whole.size - sum(branch.count for _, branch, _ in shown)
    left_out = [branch for branch in whole.children if depth is None and branch not in fitting]
    where = (
        f"with {percent(sum(branch.total[basis] or 0 for branch in left_out), total)}" if left_out else "further below"
    )
    return Outline(basis, shown, f"+ {missing:,} more module{'s' * (missing > 1)} {where}" if missing else "")


def tree(
    root: ModuleCost,
    name: str,
    depth: int | None = None,
    *,
    lines: int = FITTING,
    metric: str = "",
    exact: bool = False,
    outputs: bool = False,
) -> list[str]:
    """Return the tree as lines: a heading, a line for each branch with its share, and how many modules are not shown.

    ``exact`` shows every digit, ``outputs`` the shapes that the modules return.
    """
    outline = outlined(root, depth, lines, metric, alike=not outputs)
    number = exactly if exact else human
    rows = [
        (
            "  " * level + label(branch, name),
            sizes(branch.module) if outputs else "",
            number(branch.total["params"]),
            number(branch.total["macs"]),
            share,
            f"called {branch.module.calls:,} times" if branch.module.calls > 1 else "",
        )
        for level, branch, share in outline.shown
    ]
    headings = ("module", "output", "params", "MACs", f"of {METRICS[outline.basis].label}", "")
    return [*table(rows, headings, left=("module", "output", "")), *filter(None, [outline.rest])]


def label(branch: Branch, root: str) -> str:
    """Return the name, class and number of a branch: ``0-31 (Block) x32``; ``root`` is the model's name."""
    return f"{keys(branch.keys) or root} ({branch.module.cls}){times(branch.count)}"


def sizes(module: FoldedModule) -> str:
    """Return the shapes of what a module returns: ``1x64x768, scalar``."""
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in module.outputs)


def operators(
    costs: Iterable[OperatorCost], name: str, limit: int | None, *, exact: bool = False, free: bool = False
) -> list[str]:
    """Return the operators as lines, the heaviest first; those of repeated layers are one line.

    Beyond ``limit``, and without MACs unless ``free`` is set, they are counted.
    """
    groups = grouped(costs, lambda cost: (cost.name, without_numbers(cost.module)))
    ranked = sorted(groups, key=lambda group: (-_macs(group), group[0].module, group[0].name))
    total = sum(map(_macs, ranked))
    listed = [group for group in ranked if free or _macs(group)]
    shown = listed[:limit]
    number = exactly if exact else human
    rows = [
        [
            group[0].name,
            (pattern([cost.module for cost in group]) or name) + times(len(group)),
            f"{sum(cost.calls for cost in group):,}",
            number(_macs(group)),
            percent(_macs(group), total),
        ]
        for group in shown
    ]
    text = table(rows, ["operator", "module", "calls", "MACs", "of MACs"], left=("operator", "module"))
    if len(shown) < len(listed):
        rest = sum(map(_macs, listed[len(shown) :]))
        text.append(f"+ {len(listed) - len(shown):,} more with {percent(rest, total) or 'no MACs'}")
    if len(listed) < len(ranked):
        text.append(f"+ {len(ranked) - len(listed):,} without MACs")
    return text


def heaviest(root: ModuleCost, metric: str) -> list[Group]:
    """Return the modules that cost something by themselves, those alike as one group, the heaviest first."""
    costly = (module for module in root.walk() if getattr(module.own, metric))
    groups = [
        Group(tuple(part.name for part in parts), parts[0].cls, sum(getattr(part.own, metric) for part in parts))
        for parts in grouped(costly, lambda module: (without_numbers(module.name), module.cls))
    ]
    return sorted(groups, key=lambda group: -group.cost)


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
    return sum(cost.macs for cost in group)
