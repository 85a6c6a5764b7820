"""How much a shape run computes for real: enough for masks, positions and index tables, and no more."""

from __future__ import annotations

from math import prod

import torch

from pytest_modelbudget.counting.shape_run.operator_facts import ShapeRunFacts
from pytest_modelbudget.counting.shape_run.outcomes import Outcome

_MOST_KNOWN_FLOATS_BUILDING = 1 << 14
_MOST_KNOWN_FLOATS = 1 << 20
_MOST_KNOWN_INTEGERS = 1 << 22
_MOST_OF_A_RUN = 1 << 26
_MOST_BY_BROADCASTING = 1 << 20
SMALL = 1 << 11


class Work:
    """The work of one run on known values, in elements and MACs."""

    def __init__(self) -> None:
        self.done = 0
        self._most_floats = _MOST_KNOWN_FLOATS_BUILDING

    def begin_forward(self) -> None:
        """Allow larger tables of floats than while weights are built."""
        self._most_floats = _MOST_KNOWN_FLOATS

    def is_affordable(self, outcome: Outcome, work: int) -> bool:
        """Return whether a call may be computed: not too large by itself, nor with all before it."""
        floats = any(spec.dtype.is_floating_point for spec in outcome.new_specs())
        most = self._most_floats if floats else _MOST_KNOWN_INTEGERS
        return outcome.numel <= most and work <= 4 * _MOST_KNOWN_INTEGERS and self.done + work <= _MOST_OF_A_RUN


def may_be_much(facts: ShapeRunFacts, tensors: list[torch.Tensor], numels: list[int]) -> bool:
    """Return whether the size of a result has to be found out before it is computed."""
    return (
        facts.may_enlarge
        or not tensors
        or sum(numels) > SMALL
        or facts.formula is not None
        or prod(numels) > _MOST_BY_BROADCASTING
    )
