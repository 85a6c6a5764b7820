"""What is known of an operator before it is called: read once from its schema, kept for the process.

A plan also holds the operator's memo: what one call with these specs and arguments gives and costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import flop_counter
from torch.utils._pytree import tree_map

from pytest_modelbudget.counting.operators import registry
from pytest_modelbudget.counting.operators.without_macs import NO_MACS
from pytest_modelbudget.counting.shape_run.rules import RULES
from pytest_modelbudget.counting.shape_run.values import HANDLERS

_EMPTY = frozenset(
    f"aten::{name}"
    for name in ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided")
)
_HARMLESS_NUMBERS = frozenset(  # operators whose result is a number or flag that follows from shapes and flags alone
    f"aten::{name}"
    for name in (
        "_fused_sdp_choice",
        "_has_same_storage_numel",
        "dense_dim",
        "is_coalesced",
        "is_pinned",
        "is_same_size",
        "is_set_to",
        "sparse_dim",
    )
)
_UNDECLARED_WRITES: dict[str, tuple[int | str, ...]] = {  # running statistics that schemas do not mark as written
    "aten::batch_norm_gather_stats": (3, 4),
    "aten::batch_norm_gather_stats_with_counts": (3, 4),
    "aten::batch_norm_update_stats": (1, 2),
    "aten::cudnn_batch_norm": (3, 4),
    "aten::miopen_batch_norm": (3, 4),
    "aten::native_batch_norm": (3, 4),
}
_TRAINS: dict[str, int] = {  # the position of the flag without which the running statistics are only read
    "aten::cudnn_batch_norm": 5,
    "aten::miopen_batch_norm": 5,
    "aten::native_batch_norm": 5,
}
_RULED = frozenset(("", "Scalar", "Tensor", "Tensor_Scalar", "self"))  # the overloads that the shape rules know
_DYNAMIC = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


Charge = tuple[str, int | None]
"""An operator that ran and its MACs; None where it is unknown."""


class Plan:
    """An operator overload: its formula and what its schema says.

    ``writes`` are the positions (or names) of the arguments that it mutates. ``composite`` tells an operator that only
    calls others, ``decomposes`` one that has no formula of its own either: both are delivered whole below autograd
    alone. ``unknown`` tells one that neither has a formula nor is known to need none.
    """

    __slots__ = (
        "by_kernel",
        "by_value",
        "composite",
        "decomposes",
        "dynamic",
        "empty",
        "formula",
        "grows",
        "harmless",
        "memo",
        "name",
        "older",
        "profiling",
        "random",
        "rule",
        "trains",
        "unknown",
        "view",
        "writes",
    )

    def __init__(self, func: torch._ops.OpOverload) -> None:
        schema = func._schema
        self.name: str = schema.name
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(str(func._name), "CompositeImplicitAutograd")
        self.formula = registry.find(self.name) or _upstream_formula(func)
        self.composite = composite
        self.decomposes = composite and self.formula is None
        self.unknown = self.formula is None and not composite and not needs_none(func)
        self.writes: tuple[int | str, ...] = tuple(
            argument.name if argument.kwarg_only else position
            for position, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ) + _UNDECLARED_WRITES.get(self.name, ())
        self.trains = _TRAINS.get(self.name)
        self.view: bool = func.is_view
        self.random = torch.Tag.nondeterministic_seeded in func.tags
        self.dynamic = not _DYNAMIC.isdisjoint(func.tags)
        self.empty = self.name in _EMPTY
        self.harmless = self.name in _HARMLESS_NUMBERS
        self.profiling = self.name.startswith("profiler::")
        self.by_kernel = self.decomposes or self.profiling
        self.by_value = self.dynamic or self.name in HANDLERS
        self.grows = not self.view and any("int[" in str(argument.type).lower() for argument in schema.arguments)
        overload = schema.overload_name
        self.rule = RULES.get(f"{self.name}.{overload}") or (RULES.get(self.name) if overload in _RULED else None)
        self.memo: dict[Any, Any] = {}
        self.older: dict[Any, Any] = {}

    def charges(self, macs: Callable[[], int]) -> tuple[Charge, ...]:
        """Return what one call is charged for; ``macs`` evaluates the formula, if there is one."""
        if self.formula is not None:
            return ((self.name, macs()),)
        return ((self.name, None),) if self.unknown else ()

    def written(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
        """Return the tensors that a call writes into."""
        if self.trains is not None and not args[self.trains]:
            return []
        found: list[torch.Tensor] = []
        for place in self.writes:
            value = kwargs.get(place) if isinstance(place, str) else args[place] if place < len(args) else None
            found.extend(value if isinstance(value, (list, tuple)) else [value] if value is not None else [])
        return found


def needs_none(func: torch._ops.OpOverload) -> bool:
    """Return whether an operator of torch is known to need no MACs: by its tags, as a view, or by name."""
    name = func._schema.name
    if name in NO_MACS or (name.endswith("_") and name[:-1] in NO_MACS):
        return True
    namespace = name.partition("::")[0]
    if namespace == "prims":
        return True  # decompositions end in them; products stay aten's
    return namespace == "aten" and (
        func.is_view or torch.Tag.pointwise in func.tags or torch.Tag.view_copy in func.tags
    )


def _upstream_formula(func: torch._ops.OpOverload) -> registry.Formula | None:
    """Return what users registered with torch's ``register_flop_formula`` for an operator outside aten."""
    name = func._schema.name
    known = flop_counter.flop_registry
    entry = known.get(func._overloadpacket) or known.get(func)  # older releases register overload by overload
    if entry is None or name.startswith("aten::"):
        return None

    def macs(*args: Any, out: Any, **kwargs: Any) -> int:
        return (int(entry(*args, **kwargs, out_val=out)) + 1) // 2  # FLOPs = 2 x MACs, there too

    return registry.Formula(macs, raw=True)


PLANS: dict[int, Plan] = {}
"""The plans so far, by the identity of the operator, whose own hash is slow."""

_operators: list[
    Any
] = []  # kept alive, for those identities, and because torch's dispatcher does not own what it hands out


def plan_of(func: Any) -> Plan:
    """Return the plan of an operator overload."""
    plan = PLANS.get(id(func))
    if plan is None:
        plan = PLANS[id(func)] = Plan(func)
        _operators.append(func)
    return plan


def known_plans() -> list[Plan]:
    """Return the plan of every operator that was called so far."""
    return list(PLANS.values())


def forget() -> None:
    """Drop every plan and with it the memo."""
    PLANS.clear()


registry.on_registration(forget)


def macs_of(plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """Evaluate the formula of one call; ``args`` and ``out`` hold tensors, real or meta."""
    formula = plan.formula
    assert formula is not None
    inputs = {name: value for name, value in kwargs.items() if name not in plan.writes} if kwargs else kwargs
    if formula.raw:
        return int(formula.function(*args, **inputs, out=out))
    parts = _nested_parts(args, inputs, out)
    if parts is not None:
        return sum(macs_of(plan, *part) for part in parts)
    shapes = [registry.shape_of(arg) for arg in args]
    named = {name: registry.shape_of(value) for name, value in inputs.items()}
    return int(formula.function(*shapes, **named, out_shape=registry.shape_of(out)))


def _nested_parts(args: Any, kwargs: Any, out: Any) -> list[tuple[Any, Any, Any]] | None:
    """Return a call on nested tensors as calls on their parts, or None where no tensor is nested."""
    nested = [leaf for leaf in (*args, *kwargs.values(), out) if isinstance(leaf, torch.Tensor) and leaf.is_nested]
    if not nested:
        return None
    count = nested[0].size(0)

    def part(number: int) -> Any:
        return lambda leaf: leaf.unbind()[number] if isinstance(leaf, torch.Tensor) and leaf.is_nested else leaf

    return [tree_map(part(number), (args, kwargs, out)) for number in range(count)]
