"""What is known of an operator before it is called: read once from its schema and the tables, kept for the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch.utils import flop_counter

from pytest_modelbudget.counting.operators import foreign, registry
from pytest_modelbudget.counting.operators.formulas import find_formula
from pytest_modelbudget.counting.operators.without_macs import WITHOUT_MACS
from pytest_modelbudget.counting.torch_private import is_composite, overload_packet_of, schema_of, tree_map

_UNDECLARED_MUTABLE: dict[str, tuple[int | str, ...]] = {  # running statistics that schemas do not mark as mutable
    "aten::batch_norm_gather_stats": (3, 4),
    "aten::batch_norm_gather_stats_with_counts": (3, 4),
    "aten::batch_norm_update_stats": (1, 2),
    "aten::cudnn_batch_norm": (3, 4),
    "aten::miopen_batch_norm": (3, 4),
    "aten::native_batch_norm": (3, 4),
}
_WRITES_NO_DATA = frozenset(("aten::detach_",))  # whatever its schema says: it changes what autograd knows
_LIFTS_A_NEW_TENSOR = "aten::lift_fresh"  # torch.tensor() hands what it has made through it
_TRAINING_FLAGS: dict[str, int] = {  # the position of the flag without which the running statistics are only read
    "aten::cudnn_batch_norm": 5,
    "aten::miopen_batch_norm": 5,
    "aten::native_batch_norm": 5,
}

Charge = tuple[str, int | None]
"""An operator that ran and its MACs; None where it is unknown."""


class OperatorFacts:
    """What is known of an operator overload: its formula, and what its schema and its tags say.

    ``mutable_arguments`` are the positions (or the names, if keyword-only) of the arguments that it writes into.
    ``creates_tensors``: its results are new tensors, with data of their own.
    ``is_composite``: it only calls other operators; ``is_decomposed``: and it has no formula of its own either. Both
    reach a mode undecomposed below autograd alone. ``is_unknown``: it has no formula, and is not known to need none.
    """

    __slots__ = (
        "creates_tensors",
        "formula",
        "is_composite",
        "is_decomposed",
        "is_unknown",
        "is_view",
        "mutable_arguments",
        "name",
        "training_flag",
    )

    def __init__(self, func: Any) -> None:
        schema = schema_of(func)
        self.name: str = schema.name
        self.formula = find_formula(self.name) or _formula_registered_with_torch(func)
        self.is_composite = is_composite(func)
        self.is_decomposed = self.is_composite and self.formula is None
        self.is_unknown = self.formula is None and not self.is_composite and not needs_no_macs(func)
        self.mutable_arguments: tuple[int | str, ...] = tuple(
            argument.name if argument.kwarg_only else position
            for position, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write and self.name not in _WRITES_NO_DATA
        ) + _UNDECLARED_MUTABLE.get(self.name, ())
        self.training_flag = _TRAINING_FLAGS.get(self.name)
        self.is_view: bool = func.is_view
        self.creates_tensors = self.name == _LIFTS_A_NEW_TENSOR or not (
            self.is_view or self.mutable_arguments or self.name in _WRITES_NO_DATA
        )

    def charges(self, macs: Callable[[], int | None]) -> tuple[Charge, ...]:
        """Return what one call is charged for; ``macs`` evaluates the formula, if there is one."""
        if self.formula is not None:
            return ((self.name, macs()),)
        return ((self.name, None),) if self.is_unknown else ()

    def mutated_tensors(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
        """Return the tensors that a call writes into."""
        if self.training_flag is not None and not args[self.training_flag]:
            return []
        found: list[torch.Tensor] = []
        for place in self.mutable_arguments:
            value = kwargs.get(place) if isinstance(place, str) else args[place] if place < len(args) else None
            found.extend(value if isinstance(value, (list, tuple)) else [value] if value is not None else [])
        return found


def needs_no_macs(func: Any) -> bool:
    """Return whether an operator of torch is known to need no MACs: by its tags, as a view, or by name."""
    name = registry.implemented_name(schema_of(func).name)
    namespace = name.partition("::")[0]
    if name in WITHOUT_MACS or name.removesuffix("_") in WITHOUT_MACS:
        return True
    if name in foreign.NAMES_WITHOUT_MACS or namespace in foreign.NAMESPACES_WITHOUT_MACS:
        return True
    return namespace == "aten" and (
        func.is_view or torch.Tag.pointwise in func.tags or torch.Tag.view_copy in func.tags
    )


def _formula_registered_with_torch(func: Any) -> registry.Formula | None:
    """Return what users registered with torch's ``register_flop_formula`` for an operator outside aten."""
    known: dict[Any, Any] = flop_counter.flop_registry
    entry = known.get(overload_packet_of(func)) or known.get(func)  # older releases register overload by overload
    if entry is None or schema_of(func).name.startswith("aten::"):
        return None

    def macs(*args: Any, out: Any, **kwargs: Any) -> int:
        return (int(entry(*args, **kwargs, out_val=out)) + 1) // 2  # FLOPs = 2 x MACs, there too

    return registry.Formula(macs, takes_tensors=True)


Facts = TypeVar("Facts", bound=OperatorFacts)


class FactsTable(Generic[Facts]):
    """The facts of every operator that was called so far, dropped whenever a formula is registered.

    ``known`` finds them by the identity of the operator, whose own hash is slow.
    """

    def __init__(self, read: Callable[[Any], Facts]) -> None:
        self.known: dict[int, Facts] = {}
        self._read = read
        self._operators: list[Any] = []  # for those identities, and because torch's dispatcher does not own operators
        registry.on_change(self.known.clear)

    def facts_of(self, func: Any) -> Facts:
        """Return the facts of an operator overload."""
        facts = self.known.get(id(func))
        if facts is None:
            facts = self.known[id(func)] = self._read(func)
            self._operators.append(func)
        return facts


def macs_of_call(facts: OperatorFacts, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int | None:
    """Return what the formula says of one call, or None; ``args`` and ``out`` hold tensors, real or meta."""
    formula = facts.formula
    assert formula is not None
    inputs = (
        {name: value for name, value in kwargs.items() if name not in facts.mutable_arguments} if kwargs else kwargs
    )
    if formula.takes_tensors:
        macs = formula.function(*args, **inputs, out=out)
        return None if macs is None else int(macs)
    parts = _nested_parts(args, inputs, out)
    if parts is not None:
        return sum(macs_of_call(facts, *part) or 0 for part in parts)
    shapes = [registry.shape_of(arg) for arg in args]
    named = {name: registry.shape_of(value) for name, value in inputs.items()}
    macs = formula.function(*shapes, **named, out_shape=registry.shape_of(out))
    return None if macs is None else int(macs)


def _nested_parts(args: Any, kwargs: Any, out: Any) -> list[tuple[Any, Any, Any]] | None:
    """Return a call on nested tensors as calls on their parts, or None where no tensor is nested."""
    nested = [leaf for leaf in (*args, *kwargs.values(), out) if isinstance(leaf, torch.Tensor) and leaf.is_nested]
    if not nested:
        return None
    count = nested[0].size(0)

    def part(number: int) -> Any:
        return lambda leaf: leaf.unbind()[number] if isinstance(leaf, torch.Tensor) and leaf.is_nested else leaf

    return [tree_map(part(number), (args, kwargs, out)) for number in range(count)]
