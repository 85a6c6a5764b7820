"""Fold a measurement for its way to other processes and files: identical siblings become one, without loss.

The 80 equal layers of a transformer are one folded module with 80 keys. Totals follow from what the modules cost by
themselves, and qualified names from the keys, so neither is kept; operators stand in the module that ran them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, structs

from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost, TensorSpec

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


class FoldedMeasurement(Struct, frozen=True, omit_defaults=True):
    """A measurement whose module tree is folded."""

    name: str
    modules: FoldedModule
    inputs: tuple[TensorSpec, ...] = ()
    flops_per_mac: int = 2
    run: Literal["shape", "real"] | None = None
    named: bool = False


def fold(measurement: Measurement) -> FoldedMeasurement:
    """Return ``measurement`` with its identical siblings folded."""
    operators = _by_module(measurement.operators)
    unknown = _by_module(measurement.unknown)
    return FoldedMeasurement(
        measurement.name,
        _fold(measurement.modules, "", operators, unknown),
        measurement.inputs,
        measurement.flops_per_mac,
        measurement.run,
        measurement.named,
    )


def unfold(folded: FoldedMeasurement) -> Measurement:
    """Return the measurement that was folded."""
    operators: list[OperatorCost] = []
    unknown: list[OperatorCost] = []
    root = _unfold(folded.modules, folded.modules.keys[0], "", operators, unknown)
    return Measurement(
        name=folded.name,
        modules=root,
        inputs=folded.inputs,
        flops_per_mac=folded.flops_per_mac,
        operators=tuple(operators),
        unknown=tuple(unknown),
        run=folded.run,
        named=folded.named,
        **structs.asdict(root.total),
    )


def _by_module(operators: Iterable[OperatorCost]) -> Operators:
    found: dict[str, list[Operator]] = {}
    for one in operators:
        found.setdefault(one.module, []).append((one.name, one.calls, one.macs, one.training_macs))
    return {module: tuple(ran) for module, ran in found.items()}


def _fold(module: ModuleCost, prefix: str, operators: Operators, unknown: Operators) -> FoldedModule:
    below = f"{module.name}." if module.name else ""
    alike: dict[FoldedModule, list[tuple[int, str]]] = {}
    for position, child in enumerate(module.children):
        folded = _fold(child, below, operators, unknown)
        alike.setdefault(structs.replace(folded, keys=()), []).append((position, folded.keys[0]))
    return FoldedModule(
        keys=(module.name.removeprefix(prefix),),
        cls=module.cls,
        calls=module.calls,
        own=OwnCosts(*structs.astuple(module.own)),
        aliases=module.aliases,
        outputs=module.outputs,
        operators=operators.get(module.name, ()),
        unknown=unknown.get(module.name, ()),
        children=tuple(_siblings(folded, places) for folded, places in alike.items()),
    )


def _siblings(folded: FoldedModule, places: list[tuple[int, str]]) -> FoldedModule:
    """Return one folded module for all siblings that are equal to ``folded``, which has no key yet."""
    positions, keys = zip(*places, strict=True)
    consecutive = positions[-1] - positions[0] == len(positions) - 1
    return structs.replace(folded, keys=keys, at=() if consecutive else positions)


def _unfold(
    folded: FoldedModule, key: str, prefix: str, operators: list[OperatorCost], unknown: list[OperatorCost]
) -> ModuleCost:
    """Return the module called ``key`` of those that were folded into one; what it ran is added to the operators."""
    name = prefix + key
    operators += [OperatorCost(one[0], name, *one[1:]) for one in folded.operators]
    unknown += [OperatorCost(one[0], name, *one[1:]) for one in folded.unknown]
    below = f"{name}." if name else ""
    children = tuple(
        [_unfold(child, child_key, below, operators, unknown) for child, child_key in _in_order(folded.children)]
    )
    own = Costs(*structs.astuple(folded.own))
    total = _sum([own, *[child.total for child in children]]) if children else own
    return ModuleCost(name, folded.cls, folded.calls, own, total, folded.aliases, children, folded.outputs)


def _in_order(children: tuple[FoldedModule, ...]) -> list[tuple[FoldedModule, str]]:
    """Return every child with its key, in the order of the module: those without a place fill what is left."""
    placed = {place: (child, key) for child in children for place, key in zip(child.at, child.keys, strict=False)}
    others = iter([(child, key) for child in children if not child.at for key in child.keys])
    count = sum(len(child.keys) for child in children)
    return [placed[place] if place in placed else next(others) for place in range(count)]


def _sum(costs: list[Costs]) -> Costs:
    columns = zip(*map(structs.astuple, costs), strict=True)
    return Costs(*[None if column[0] is None else sum(column) for column in columns])  # type: ignore[arg-type]  # those of params are no None
