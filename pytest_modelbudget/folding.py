"""Fold a tree of modules: siblings that are equal but for their names become one.

The 80 equal layers of a transformer are one folded module with 80 keys. Totals follow from what the modules cost by
themselves, and qualified names from the keys, so neither is kept; operators stand in the module that ran them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, structs

from pytest_modelbudget.costs import Costs, ModuleCost, OperatorCost

Operator = tuple[str, int, int, int | None]
"""Name, calls, MACs and training MACs of an operator in its module."""

Operators = Mapping[str, tuple[Operator, ...]]
"""Operators by the module that ran them."""


class OwnCosts(Costs, frozen=True, omit_defaults=True):
    """What a module costs by itself; metrics at their defaults are left out of the encoded form."""


class FoldedModule(Struct, frozen=True, omit_defaults=True):
    """Siblings that are equal but for their names.

    ``keys`` are their names in the parent, ``at`` their positions among all its children where these are not
    consecutive. ``own`` is what each costs by itself.
    """

    keys: tuple[str, ...]
    cls: str
    calls: int = 0
    own: OwnCosts = OwnCosts()
    at: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()
    operators: tuple[Operator, ...] = ()
    unknown: tuple[Operator, ...] = ()
    children: tuple[FoldedModule, ...] = ()

    def in_order(self) -> Iterator[tuple[FoldedModule, str]]:
        """Yield every child with its key, in the order of the module: those without a place fill what is left."""
        placed = {
            place: (child, key) for child in self.children for place, key in zip(child.at, child.keys, strict=False)
        }
        # Equal siblings that follow on each other need no places: they fill the gaps in their order.
        others = ((child, key) for child in self.children if not child.at for key in child.keys)
        for place in range(sum(len(child.keys) for child in self.children)):
            yield placed[place] if place in placed else next(others)

    def total(self) -> Costs:
        """Return what one of these modules costs with everything below it."""
        below = [cost for child in self.children for cost in [child.total()] * len(child.keys)]
        return _sum([Costs(*structs.astuple(self.own)), *below])


def fold_modules(
    root: ModuleCost, operators: Iterable[OperatorCost] = (), unknown: Iterable[OperatorCost] = (), *, aliases: bool
) -> FoldedModule:
    """Return the tree below ``root``; modules that ran different operators, or have other ``aliases``, are kept apart.

    With ``aliases`` and all operators nothing is lost. People read modules that cost the same as one.
    """
    return _fold(root, "", _by_module(operators), _by_module(unknown), aliases)


def unfold_modules(root: FoldedModule) -> tuple[ModuleCost, list[OperatorCost], list[OperatorCost]]:
    """Return the tree that was folded, its operators, and those of them without a formula."""
    operators: list[OperatorCost] = []
    unknown: list[OperatorCost] = []
    return _unfold(root, root.keys[0], "", operators, unknown), operators, unknown


def _by_module(operators: Iterable[OperatorCost]) -> Operators:
    found: dict[str, list[Operator]] = {}
    for operator in operators:
        ran = (operator.name, operator.calls, operator.macs, operator.training_macs)
        found.setdefault(operator.module, []).append(ran)
    return {module: tuple(ran) for module, ran in found.items()}


def _fold(module: ModuleCost, prefix: str, operators: Operators, unknown: Operators, aliases: bool) -> FoldedModule:
    below = f"{module.name}." if module.name else ""
    siblings: dict[FoldedModule, list[tuple[int, str]]] = {}
    for position, child in enumerate(module.children):
        folded = _fold(child, below, operators, unknown, aliases)
        # Without its keys a folded module is the same for all equal siblings, whatever they are called.
        siblings.setdefault(structs.replace(folded, keys=()), []).append((position, folded.keys[0]))
    return FoldedModule(
        keys=(module.name.removeprefix(prefix),),
        cls=module.cls,
        calls=module.calls,
        own=OwnCosts(*structs.astuple(module.own)),
        aliases=module.aliases if aliases else (),
        outputs=module.outputs,
        operators=operators.get(module.name, ()),
        unknown=unknown.get(module.name, ()),
        # Without siblings the one empty tuple, which is not written; tuple() of a generator is another on Python 3.10.
        children=(*[_joined(folded, places) for folded, places in siblings.items()],),
    )


def _joined(folded: FoldedModule, places: list[tuple[int, str]]) -> FoldedModule:
    """Return one folded module for all siblings that are equal to ``folded``, which has no key yet."""
    positions, keys = zip(*places, strict=True)
    consecutive = positions[-1] - positions[0] == len(positions) - 1
    return structs.replace(folded, keys=keys, at=() if consecutive else positions)


def _unfold(
    folded: FoldedModule, key: str, prefix: str, operators: list[OperatorCost], unknown: list[OperatorCost]
) -> ModuleCost:
    """Return the module called ``key`` of those that were folded into one; what it ran is added to the operators."""
    name = prefix + key
    operators += [OperatorCost(operator[0], name, *operator[1:]) for operator in folded.operators]
    unknown += [OperatorCost(operator[0], name, *operator[1:]) for operator in folded.unknown]
    below = f"{name}." if name else ""
    children = tuple(_unfold(child, key, below, operators, unknown) for child, key in folded.in_order())
    own = Costs(*structs.astuple(folded.own))
    total = _sum([own, *[child.total for child in children]]) if children else own
    return ModuleCost(name, folded.cls, folded.calls, own, total, folded.aliases, children, folded.outputs)


def _sum(costs: list[Costs]) -> Costs:
    columns = zip(*map(structs.astuple, costs), strict=True)
    return Costs(*[None if column[0] is None else sum(column) for column in columns])  # type: ignore[arg-type]  # those of params are no None
