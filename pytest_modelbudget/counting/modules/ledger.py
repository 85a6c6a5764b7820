"""Write down which module and operator the MACs of a run belong to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pytest_modelbudget.counting.modules.index import ModuleIndex

ROOT = 0


class Ledger:
    """Where MACs are written down: per innermost running module and operator, forward and backward apart."""

    __slots__ = ("_backward", "_marks", "_owners", "forward", "index", "stack", "training", "unknown")

    def __init__(self, index: ModuleIndex) -> None:
        self.index = index
        self.stack = [ROOT]
        self.forward: dict[tuple[int, str], list[int]] = {}
        self.training: dict[tuple[int, str], list[int]] = {}
        self.unknown: dict[tuple[int, str], list[int]] = {}
        self._backward = False
        self._marks: list[int] = []
        self._owners: list[int] = []

    def charge(self, name: str, macs: int | None) -> None:
        """Add one call of an operator to the module that runs it; without MACs, one that is unknown."""
        owner = self._origin() if self._backward else self.stack[-1]
        tally = self.unknown if macs is None else self.training if self._backward else self.forward
        entry = tally.get((owner, name))
        if entry is None:
            tally[owner, name] = [1, macs or 0]
        else:
            entry[0] += 1
            entry[1] += macs or 0

    @property
    def training_is_on(self) -> bool:
        """Return whether a backward will follow."""
        return bool(self._marks)

    def mark(self) -> None:
        """Remember that autograd nodes made from here on belong to the module that is now running."""
        self._marks.append(torch._C._autograd._get_sequence_nr())
        self._owners.append(self.stack[-1])

    @contextmanager
    def backward(self) -> Iterator[None]:
        """Charge what runs inside to the modules whose forward made the gradients."""
        self._backward = True
        try:
            yield
        finally:
            self._backward = False

    def _origin(self) -> int:
        if len(self.stack) > 1:
            return self.stack[-1]  # a forward that runs again, as under checkpoint
        node = torch._C._current_autograd_node()
        if node is None or not self._marks:
            return ROOT
        position = bisect_right(self._marks, node._sequence_nr()) - 1
        return self._owners[position] if position >= 0 else ROOT
