"""The formulas: how many MACs an operator costs.

A formula is a pure function on shapes. The modules of ``formulas`` register torch's own operators by qualified name,
users theirs with :func:`formula`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from pytest_modelbudget.counting.operators.foreign import COUNTED_LIKE
from pytest_modelbudget.counting.torch_private import coo_values, mkldnn_layout

Shape = tuple[int, ...]
F = TypeVar("F", bound=Callable[..., "int | None"])


class SparseShape(tuple[int, ...]):
    """The shape of a sparse tensor, which also knows how many elements are stored, and in which ``tensor``."""

    stored: int
    tensor: torch.Tensor | None

    def __new__(cls, shape: Shape, stored: int, tensor: torch.Tensor | None = None) -> SparseShape:
        """Return ``shape`` with its number of stored elements."""
        self = super().__new__(cls, shape)
        self.stored, self.tensor = stored, tensor
        return self


@dataclass(frozen=True, slots=True)
class Formula:
    """A function that gives the MACs of one operator.

    It takes the operator's arguments with every tensor replaced by its shape, and ``out_shape``. A formula that
    ``takes_tensors`` is given the tensors themselves and ``out``, because it needs values or packed weights; it returns
    None where those do not tell.
    """

    function: Callable[..., int | None]
    takes_tensors: bool = False


_formulas: dict[str, Formula] = {}
_listeners: list[Callable[[], None]] = []


def counts(*names: str, takes_tensors: bool = False) -> Callable[[F], F]:
    """Register a formula of torch's own operators by their qualified names (``aten::mm``), all overloads at once."""

    def register(function: F) -> F:
        for name in names:
            _formulas[name] = Formula(function, takes_tensors)
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
        notify_changed()
        return function

    return register


def add_formulas(formulas: Mapping[str, Callable[..., int]]) -> None:
    """Register formulas by the names of their operators. Raises as :func:`formula`, and for anything but a dict."""
    for operator, function in dict(formulas).items():
        formula(operator)(function)


def on_change(forget: Callable[[], None]) -> None:
    """Call ``forget`` whenever formulas change: what was derived from the old ones is void."""
    _listeners.append(forget)


def notify_changed() -> None:
    """Make everyone forget what was derived from the formulas."""
    for forget in _listeners:
        forget()


_GENERATED = re.compile(r"_native::(.+?)(?:_out)?_(?:native|triton)_\d+")


def implemented_name(name: str) -> str:
    """Return the operator of aten that a kernel of torch's own implements: ``aten::bmm`` for ``_native::bmm_triton_0``.

    The numbers at the end are those of one build of torch.
    """
    found = _GENERATED.fullmatch(name)
    return f"aten::{found[1]}" if found else name


def find_formula(name: str) -> Formula | None:
    """Return the formula of a qualified operator name; an in-place variant has that of its functional form."""
    name = implemented_name(name)
    known = _formulas.get(name) or _formulas.get(COUNTED_LIKE.get(name, ""))
    return known or (_formulas.get(name[:-1]) if name.endswith("_") else None)


def names_with_formula() -> list[str]:
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
    if value.layout is torch.strided or value.layout is mkldnn_layout or value.is_meta:
        return tuple(value.shape)
    values = coo_values(value) if value.layout is torch.sparse_coo else value.values()
    return SparseShape(tuple(value.shape), values.numel(), value)
