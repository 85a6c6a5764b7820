"""What one call of an operator gives and costs, written down so that an equal call need not run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import torch

from pytest_modelbudget.counting.operators.facts import Charge
from pytest_modelbudget.counting.shape_run.tensors import Spec


class ArgumentAt:
    """A result that is one of the call's own tensors, by its position among them."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class AliasOfFirst:
    """A result that shares the data of the call's first argument."""

    __slots__ = ("spec",)

    def __init__(self, spec: Spec) -> None:
        self.spec = spec


class Outcome:
    """What one call of an operator gives and costs.

    ``result`` is what it returns: a spec for each new tensor, an :class:`ArgumentAt` for each that is one of the call's
    own, an :class:`AliasOfFirst` for each that shares its data, plain values as they are, in tuples and lists as the
    operator returns them. ``changed_metadata`` are the new specs of arguments that the call resizes, by their position
    among its tensors. ``charges`` are the operators to charge for, ``macs`` the sum of their MACs, and ``numel`` the
    number of elements of all new tensors.
    """

    __slots__ = ("changed_metadata", "charges", "macs", "numel", "result")

    def __init__(
        self, result: Any, changed_metadata: tuple[tuple[int, Spec], ...], charges: tuple[Charge, ...]
    ) -> None:
        self.result = result
        self.changed_metadata = changed_metadata
        self.charges = charges
        self.macs = sum(macs or 0 for _, macs in charges)
        self.numel = sum(prod(spec.shape) for spec in self.new_specs())

    def new_specs(self) -> list[Spec]:
        """Return the specs of the new tensors."""
        leaves = self.result if type(self.result) in (tuple, list) else (self.result,)
        return [spec for leaf in leaves for spec in (leaf if type(leaf) is list else (leaf,)) if type(spec) is Spec]


def tensors_in(args: Iterable[Any], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the tensors among the arguments of a call, in order; operators take them bare or in lists."""
    found: list[torch.Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif type(value) in (list, tuple) and not (value and type(value[0]) is int):
            found.extend(tensors_in(value, {}))
    return found


def build_result(result: Any, new: Callable[[Spec], Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Return what an equal call returns: ``new`` makes a tensor of each spec, the others are the call's own."""
    if type(result) is tuple:
        return tuple([new(item) if type(item) is Spec else build_result(item, new, args, kwargs) for item in result])
    if type(result) is list:
        return list(build_result(tuple(result), new, args, kwargs))
    if type(result) is AliasOfFirst:
        spec = result.spec
        return torch.as_strided(args[0], spec.shape, spec.stride, spec.offset)
    return tensors_in(args, kwargs)[result.position] if type(result) is ArgumentAt else result
