"""When each storage of activations is alive: from the operator that first makes it to the last that reads or writes it.

An operator is one that a mode below autograd sees: ``aten::linear``, ``aten::batch_norm``, ``aten::lstm``. What its
kernel keeps inside is not counted, and neither are weights and buffers. Views share a storage, and operators in place
reuse theirs; what only makes a view reads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.operators.facts import FactsTable, OperatorFacts
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import storage_identity, storage_of
from pytest_modelbudget.measurement import Alive, MemoryCost

_INPUT = "input"
_MOST_POINTS = 400
"""So many points of the curve are kept."""
_STRIDED, _SEQUENCES = torch.strided, (list, tuple)
_UNSEEN = (
    "asyncio::",
    "concurrent::",
    "multiprocessing::",
    "prim::",
    "python::",
    "tensorrt::",
    "threading::",
    "mkldnn",
)
"""Where the names begin of what runs where no mode sees it."""
_RESULTS_THAT_COUNT = {
    **dict.fromkeys(("aten::native_batch_norm", "aten::_native_batch_norm_legit", "aten::native_group_norm"), 1),
    **dict.fromkeys(
        ("aten::native_layer_norm", "aten::native_dropout", "aten::_embedding_bag", "aten::embedding_bag"), 1
    ),
    **dict.fromkeys(("aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_fused_rms_norm"), 1),
    **dict.fromkeys(("aten::_scaled_dot_product_efficient_attention", "aten::_scaled_dot_product_attention_math"), 1),
}
"""Of operators with auxiliary results, such as saved statistics and masks, how many of their results count."""


class _Storage:
    """One storage: its bytes, the operators between which it is alive, and who made it.

    A weak reference keeps torch from giving its identity to another storage.
    """

    __slots__ = ("_reference", "first", "last", "maker", "nbytes")

    def __init__(self, storage: torch.UntypedStorage, first: int, maker: tuple[str, int]) -> None:
        self._reference = StorageWeakRef(storage)
        self.nbytes = storage.nbytes()
        self.first = self.last = first
        self.maker = maker


class Lifetimes:
    """The lifetimes of storages in one forward. Operators are numbered from 1; what is given is there from 0 on."""

    def __init__(self, index: ModuleIndex, inputs: Iterable[torch.Tensor], ledger: Ledger) -> None:
        weights = [*index.parameters, *index.buffers]
        self._ledger = ledger
        self._weights = frozenset(map(id, weights))
        self._storages_of_weights = _storages(weights, frozenset()).keys()
        self._depth = 0
        self.are_known = True
        self.begin(inputs)

    def begin(self, inputs: Iterable[torch.Tensor]) -> None:
        """Begin with what is given, and forget what has run until now."""
        self._known: dict[int, _Storage] = {}
        self._all: list[_Storage] = []
        self._operators: list[tuple[str, int]] = [(_INPUT, 0)]
        for identity, storage in _storages([*inputs], self._weights).items():
            if identity not in self._storages_of_weights:
                self._add(identity, storage, 0)

    def around(self, run: Callable[..., Any], table: FactsTable[Any], func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator, and note which storages it used unless it runs inside of another one."""
        self._depth += 1
        try:
            out = run(func, args, kwargs)
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._note(table.known.get(id(func)) or table.facts_of(func), args, kwargs, out)
        return out

    def _note(self, facts: OperatorFacts, args: Any, kwargs: dict[str, Any] | None, out: Any) -> None:
        used = _storages((*args, *kwargs.values()) if kwargs else args, self._weights)
        results = out[: _RESULTS_THAT_COUNT[facts.name]] if facts.name in _RESULTS_THAT_COUNT else out
        returned = _storages((results,), self._weights)
        if not facts.mutable_arguments and (returned.keys() <= used.keys() if returned else not used):
            return  # a view, or nothing at all
        number, known = len(self._operators), self._known
        self._operators.append((facts.name, self._ledger.running[-1]))
        for identity, storage in (used | returned).items():
            life = known.get(identity)
            if life is not None:
                life.last = number
            elif identity not in self._storages_of_weights:
                self._add(identity, storage, number)

    def _add(self, identity: int, storage: torch.UntypedStorage, number: int) -> None:
        """Note a storage that an operator made, or that is used for the first time."""
        self._known[identity] = life = _Storage(storage, number, self._operators[number])
        self._all.append(life)

    def end(self, outputs: Iterable[torch.Tensor]) -> None:
        """Note what lives to the end."""
        for identity in _storages([*outputs], self._weights):
            if identity in self._known:
                self._known[identity].last = len(self._operators)

    def cost(self, index: ModuleIndex) -> MemoryCost | None:
        """Return the peak, what is alive there, and how many bytes are alive during each operator; None if unknown."""
        if not self.are_known or any(name.startswith(_UNSEEN) for _, name in self._ledger.unknown):
            return None
        change = [0] * (len(self._operators) + 2)
        for storage in self._all:
            change[storage.first] += storage.nbytes
            change[storage.last + 1] -= storage.nbytes
        live = [*accumulate(change)][1 : len(self._operators)]
        peak = max(live, default=0)
        at = live.index(peak) + 1 if live else 0
        alive = [one for one in self._all if one.first <= at <= one.last] if live else []
        alive.sort(key=lambda one: -one.nbytes)

        def name(position: int) -> str:
            return index.nodes[position].name

        operator, module = self._operators[at]
        found = tuple(Alive(one.nbytes, one.maker[0], name(one.maker[1])) for one in alive)
        return MemoryCost(peak, operator if live else "", name(module), found, *_bounded(live))


def _bounded(live: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return the largest of each stretch, and how long those are; the peak stays among them."""
    stretch = -(-len(live) // _MOST_POINTS) or 1
    if stretch == 1:
        return tuple(live), 1
    return tuple(max(live[start : start + stretch]) for start in range(0, len(live), stretch)), stretch


def _storages(values: Sequence[Any], weights: frozenset[int]) -> dict[int, torch.UntypedStorage]:
    """Return by identity the storages of the tensors in arguments or results of an operator that are no weights."""
    found: dict[int, torch.UntypedStorage] = {}
    for value in values:
        kind = type(value)
        if kind in PLAIN_TYPES or isinstance(value, torch.Tensor):
            if id(value) not in weights and value.layout is _STRIDED:
                storage = storage_of(value)
                found[storage_identity(storage)] = storage
        elif kind in _SEQUENCES:
            found |= _storages(value, weights)
    return found
