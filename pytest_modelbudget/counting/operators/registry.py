"""The formulas: which operator costs how many MACs, which needs none, and which is unknown.

A formula is a pure function on shapes. The modules of ``formulas`` register torch's own operators by qualified name;
users register theirs with :func:`formula`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

Shape = tuple[int, ...]
F = TypeVar("F", bound=Callable[..., int])


class SparseShape(tuple[int, ...]):
    """The shape of a sparse tensor, which also knows how many elements are stored."""

    stored: int

    def __new__(cls, shape: Shape, stored: int) -> SparseShape:
        """Return ``shape`` with its number of stored elements."""
        self = super().__new__(cls, shape)
        self.stored = stored
        return self


@dataclass(frozen=True, slots=True)
class Formula:
    """A function that gives the MACs of one operator.

    It takes the operator's arguments with every tensor replaced by its shape, and ``out_shape``. A ``raw`` formula
    takes the tensors themselves and ``out``, because it needs values or packed weights.
    """

    function: Callable[..., int]
    raw: bool = False


_formulas: dict[str, Formula] = {}
_listeners: list[Callable[[], None]] = []


def counts(*names: str, raw: bool = False) -> Callable[[F], F]:
    """Register a formula of torch's own operators by their qualified names (``aten::mm``), all overloads at once."""

    def register(function: F) -> F:
        for name in names:
            _formulas[name] = Formula(function, raw)
        return function

    return register


def formula(name: str) -> Callable[[F], F]:
    """Register the MACs of a custom operator: ``@formula("my_namespace::my_op")``.

    The function is called as ``f(*args, out_shape, **kwargs) -> int`` with the operator's arguments, in which every
    tensor is replaced by its shape (a tuple of ints); ``out_shape`` is the shape of the output, or a tuple of them. It
    returns MACs, not FLOPs, and counts for every overload of the operator. A formula given here takes the place of
    any other for the same name. The convention of the arguments is that of ``torch.utils.flop_counter``.

    Raises ``ValueError`` for a name that is not ``"namespace::operator"``, ``TypeError`` for anything but a callable.
    """
    namespace, _, operator = name.partition("::")
    if not (namespace.isidentifier() and operator.isidentifier()):
        raise ValueError(f'formula({name!r}): an operator is named "namespace::operator", for example "my_lib::my_op"')

    def register(function: F) -> F:
        if not callable(function):
            raise TypeError(f"formula({name!r}) takes a function that returns MACs, not {type(function).__name__}")
        _formulas[name] = Formula(function)
        for forget in _listeners:
            forget()
        return function

    return register


def on_registration(forget: Callable[[], None]) -> None:
    """Call ``forget`` whenever a user registers a formula: what was derived from the old ones is void."""
    _listeners.append(forget)


def find(name: str) -> Formula | None:
    """Return the formula of a qualified operator name; an in-place variant has that of its functional form."""
    known = _formulas.get(name)
    return known or (_formulas.get(name[:-1]) if name.endswith("_") else None)


def known() -> list[str]:
    """Return the qualified name of every operator that has a formula."""
    return list(_formulas)


def shape_of(value: Any) -> Any:
    """Replace every tensor in ``value`` by its shape; lists and tuples become tuples of shapes."""
    kind = type(value)
    if value is None or kind is int or kind is bool:
        return value
    if kind is list or isinstance(value, (list, tuple)):
        return tuple(value) if value and type(value[0]) is int else tuple([shape_of(item) for item in value])
    if not isinstance(value, torch.Tensor):
        return value
    if value.layout is torch.strided or value.layout is torch._mkldnn or value.is_meta:  # type: ignore[attr-defined]
        return tuple(value.shape)
    values = value._values() if value.layout is torch.sparse_coo else value.values()
    return SparseShape(tuple(value.shape), values.numel())


def _load() -> None:
    from pytest_modelbudget.counting.operators.formulas import (
        attention,
        convolution,
        matmul,
        quantized,
        recurrent,
        sparse,
    )

    del attention, convolution, matmul, quantized, recurrent, sparse


_load()
