"""What one call of an operator gives and costs."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import torch

from pytest_modelbudget.counting.operators.facts import Charge
from pytest_modelbudget.counting.shape_run.tensors import Spec


class Entry:
    """What one call of an operator gives and costs.

    ``result`` is what comes out: a spec for each new tensor, an :class:`Argument` for each that is one of the call's
    own, plain values as they are, in tuples and lists as the operator returns them. ``changed`` are the arguments
    whose metadata the call changes, by their position among its tensors. ``charges`` are the operators to charge for.
    """

    __slots__ = ("changed", "charges", "macs", "numel", "result")

    def __init__(self, result: Any, changed: tuple[tuple[int, Spec], ...], charges: tuple[Charge, ...]) -> None:
        self.result = result
        self.changed = changed
        self.charges = charges
        self.macs = sum(macs or 0 for _, macs in charges)
        self.numel = sum(prod(spec.shape) for spec in self.specs())

    def specs(self) -> list[Spec]:
        """Return the specs of the new tensors."""
        leaves = self.result if type(self.result) in (tuple, list) else (self.result,)
        return [spec for leaf in leaves for spec in (leaf if type(leaf) is list else (leaf,)) if type(spec) is Spec]


class Argument:
    """An output that is one of the call's own tensors, by its position among them."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


def tensors_in(args: Iterable[Any], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the tensors among the arguments of a call, in order; operators take them bare or in lists."""
    found: list[torch.Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif type(value) in (list, tuple) and not (value and type(value[0]) is int):
            found.extend(tensors_in(value, {}))
    return found
