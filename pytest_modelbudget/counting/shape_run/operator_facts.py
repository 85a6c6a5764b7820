"""What a shape run knows of an operator, beside its formula and schema, and the outcomes of its calls so far."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.operators.facts import FactsTable, OperatorFacts
from pytest_modelbudget.counting.shape_run.composites import flags_of
from pytest_modelbudget.counting.shape_run.outcomes import Outcome
from pytest_modelbudget.counting.shape_run.rules import SHAPE_RULES
from pytest_modelbudget.counting.shape_run.values import COMPOSITE_HANDLERS, VALUE_HANDLERS
from pytest_modelbudget.counting.torch_private import schema_of

_UNINITIALIZED = frozenset(
    f"aten::{name}"
    for name in ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided")
)
_NUMBER_FROM_METADATA = frozenset(  # operators whose result is a number or flag that needs no values
    f"aten::{name}"
    for name in (
        "_fused_sdp_choice",
        "_has_same_storage_numel",
        "dense_dim",
        "is_coalesced",
        "is_pinned",
        "is_same_size",
        "sparse_dim",
    )
)
_ENLARGING = frozenset(("aten::diag_embed", "aten::repeat_interleave"))  # by a number, not by a list of sizes
_ALIASING = frozenset(("aten::_reshape_alias", "aten::_unsafe_view"))  # that are no views by their tags
_NEED_MEMORY = frozenset(("aten::lift_fresh", "aten::resize_", "aten::resize_as_"))
_CHANGING_BITS = frozenset(f"aten::{name}" for name in ("_conj", "_neg_view", "conj", "imag", "view_as_real"))
_OVERLOADS_WITH_RULES = frozenset(("", "Scalar", "Tensor", "Tensor_Scalar", "self"))
_VALUE_TAGS = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


class ShapeRunFacts(OperatorFacts):
    """The facts of an operator overload, as a shape run needs them.

    ``needs_values``: its result or the shape of its result follows from values, by its tags; ``may_need_values``: or
    it has a ``value_handler``, which answers where the values are known, as a ``composite_handler`` does for composite
    operators. ``is_random`` and ``is_uninitialized`` have no determined values; ``is_number_from_metadata`` gives a
    number without needing any. ``may_enlarge``: the result may be larger than the operands, as of ``repeat``.
    ``runs_unchanged``: torch itself answers, because it only calls other operators, or because it ``is_native``: it
    makes a view or changes what a tensor looks at (``changes_metadata``), and touches no data. ``changes_bits``: it
    makes tensors whose values are still to be conjugated or negated. ``flags_of`` gives the flags that a composite
    depends on. ``outcomes`` and ``older_outcomes`` are the two generations of the memo.
    """

    __slots__ = (
        "changes_bits",
        "changes_metadata",
        "composite_handler",
        "flags_of",
        "is_native",
        "is_number_from_metadata",
        "is_profiling",
        "is_random",
        "is_uninitialized",
        "may_enlarge",
        "may_need_values",
        "needs_values",
        "older_outcomes",
        "outcomes",
        "runs_unchanged",
        "shape_rule",
        "value_handler",
    )

    def __init__(self, func: Any) -> None:
        super().__init__(func)
        schema = schema_of(func)
        self.needs_values = not _VALUE_TAGS.isdisjoint(func.tags)
        self.value_handler = VALUE_HANDLERS.get(self.name) if "out" not in schema.overload_name else None
        self.may_need_values = self.needs_values or self.value_handler is not None
        self.is_random = torch.Tag.nondeterministic_seeded in func.tags
        self.is_uninitialized = self.name in _UNINITIALIZED
        self.is_number_from_metadata = self.name in _NUMBER_FROM_METADATA
        self.is_profiling = self.name.startswith("profiler::")
        takes_sizes = any("List[int]" in str(argument.type) for argument in schema.arguments)
        self.may_enlarge = (takes_sizes or self.name in _ENLARGING) and not self.is_view
        self.changes_metadata = torch.Tag.inplace_view in func.tags or self.name == "aten::set_"
        looks = self.is_view or self.changes_metadata or self.name in _ALIASING
        self.is_native = looks and self.name not in _NEED_MEMORY and not (self.is_decomposed or self.needs_values)
        self.runs_unchanged = self.is_decomposed or self.is_profiling or self.is_native
        self.changes_bits = self.name in _CHANGING_BITS
        self.composite_handler = COMPOSITE_HANDLERS.get(self.name)
        rule = SHAPE_RULES.get(f"{self.name}.{schema.overload_name}")
        if rule is None and schema.overload_name in _OVERLOADS_WITH_RULES:
            rule = SHAPE_RULES.get(self.name)
        self.shape_rule = rule
        self.flags_of = flags_of(self)
        self.outcomes: dict[Any, Outcome] = {}
        self.older_outcomes: dict[Any, Outcome] = {}


SHAPE_RUN_FACTS = FactsTable(ShapeRunFacts)
