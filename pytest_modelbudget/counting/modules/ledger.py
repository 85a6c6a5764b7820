"""The ledger of a run: the calls and MACs of every operator, by the module that runs it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_modelbudget.counting.modules.flat import FlatGraphs
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.operators.registry import find_formula
from pytest_modelbudget.counting.torch_private import (
    autograd_sequence_number,
    current_autograd_node,
    sequence_number_of,
)

ROOT = 0

Tally = dict[tuple[int, str], list[int]]
"""By the position of a module and the name of an operator: the number of its calls there, and their MACs."""


class Ledger:
    """What the operators of a run cost: ``forward``, ``backward``, and the ``unknown`` ones, which have no formula.

    ``running`` is the stack of the modules that are running, innermost last, by their positions. ``branches`` are the
    ledgers of other threads that run a part of the forward, by the thread's identity. ``traced_under`` is the mode of
    others, if any, under which operators with MACs ran that computed nothing. ``unplaced`` are operators in ``flat``
    graphs that do not tell which part they belong to.
    """

    __slots__ = (
        "_boundaries",
        "_in_backward",
        "_modules",
        "_threads",
        "backward",
        "branches",
        "collectives",
        "flat",
        "forward",
        "index",
        "running",
        "traced_under",
        "unknown",
        "unplaced",
    )

    def __init__(self, index: ModuleIndex, module: int = ROOT) -> None:
        self.index = index
        self.flat = FlatGraphs(index)
        self.running = [module]
        self.branches: dict[int, Ledger] = {}
        self._threads: list[Ledger] = []
        self.forward: Tally = {}
        self.backward: Tally = {}
        self.unknown: Tally = {}
        self.collectives: Tally = {}
        self.unplaced: set[tuple[int, str]] = set()
        self.traced_under = ""
        self._in_backward = False
        self._boundaries: list[int] = []
        self._modules: list[int] = []

    def charge(self, name: str, macs: int | None, operands: Any = ()) -> None:
        """Add one call of an operator to the module that runs it; ``macs`` is None where it is unknown."""
        module = self._module_of_backward() if self._in_backward else self.running[-1]
        if module in self.flat.positions and not self._in_backward and macs:
            module = self._part_of(module, name, operands)
        tally = self.unknown if macs is None else self.backward if self._in_backward else self.forward
        entry = tally.get((module, name))
        if entry is None:
            tally[module, name] = [1, macs or 0]
        else:
            entry[0] += 1
            entry[1] += macs or 0

    def _part_of(self, module: int, name: str, operands: Any) -> int:
        """Return the part of a module whose operator its graph runs; the module itself where that is not known."""
        part = self.flat.part_that_runs(self.running, operands)
        if part is None:
            self.unplaced.add((module, name))
        if self._boundaries:  # autograd has made the node of this operator already
            self._boundaries.append(autograd_sequence_number() - 1)
            self._modules.append(module if part is None else part)
        return module if part is None else part

    def charge_collective(self, kind: str, nbytes: int) -> None:
        """Add one collective with the bytes that it transfers to the module that runs it."""
        module = self._module_of_backward() if self._in_backward else self.running[-1]
        entry = self.collectives.setdefault((module, kind), [0, 0])
        entry[0] += 1
        entry[1] += nbytes

    def charge_unknown(self, module: int, name: str) -> None:
        """Add one call of something that was not counted, to the module at a position."""
        self.unknown.setdefault((module, name), [0, 0])[0] += 1

    def charge_unseen(self, name: str) -> None:
        """Add one call of something that no mode sees, to the module that is running."""
        self.charge_unknown(self.running[-1], name)

    def forget(self) -> None:
        """Forget what has run until now."""
        for tally in (self.forward, self.unknown, self.collectives):
            tally.clear()
        self.unplaced.clear()
        for node in self.index.nodes:
            node.calls, node.outputs = 0, None

    def add(self, other: Ledger) -> None:
        """Add what another ledger of the same index holds."""
        self.unplaced |= other.unplaced
        pairs = (self.forward, other.forward), (self.unknown, other.unknown), (self.collectives, other.collectives)
        for mine, others in pairs:
            for key, (calls, macs) in others.items():
                tally = mine.setdefault(key, [0, 0])
                tally[0] += calls
                tally[1] += macs

    def settle(self, *, holds_the_same: bool = False) -> ModuleIndex:
        """Go on with the modules and weights that the model has by now, unless it had more when the run began.

        ``holds_the_same``: it is known that the modules and tensors are the same.
        """
        if self.index.has_changed(holds_the_same=holds_the_same):
            now = ModuleIndex(self.index.nodes[ROOT].module)
            # Models that drop modules while they run (pruning, releasing a teacher) cost what they had when they ran.
            if now.size() >= self.index.size():
                self.move(now)
        return self.index

    def move(self, index: ModuleIndex) -> None:
        """Go on with another index of the same model; what modules cost that are gone is the model's own."""
        before = self.index
        positions = [index.positions.get(id(node.module), ROOT) for node in before.nodes]
        for node, position in zip(before.nodes, positions, strict=True):
            if index.nodes[position].module is node.module:
                index.nodes[position].calls += node.calls
                index.nodes[position].outputs = node.outputs
        moved = Ledger(index)
        for mine, others in (
            (moved.forward, self.forward),
            (moved.backward, self.backward),
            (moved.unknown, self.unknown),
            (moved.collectives, self.collectives),
        ):
            for (module, name), (calls, macs) in others.items():
                tally = mine.setdefault((positions[module], name), [0, 0])
                tally[0] += calls
                tally[1] += macs
        self.index, self.flat = index, moved.flat
        self.unplaced = {(positions[module], name) for module, name in self.unplaced}
        self.forward, self.backward, self.unknown = moved.forward, moved.backward, moved.unknown
        self.collectives = moved.collectives

    def branch(self, thread: int, module: int) -> Ledger:
        """Return the ledger of a thread in which ``module`` goes on running."""
        ledger = self.branches[thread] = Ledger(self.index, module)
        self._threads.append(ledger)
        return ledger

    def join(self) -> None:
        """Add what the other threads have cost."""
        for ledger in self._threads:
            ledger.join()
            self.add(ledger)
        self._threads.clear()

    @property
    def backward_follows(self) -> bool:
        """Return whether a backward pass will follow, or is running."""
        return bool(self._boundaries)

    def note_module_boundary(self) -> None:
        """Remember that autograd nodes made from here on belong to the module that is now running."""
        self._boundaries.append(autograd_sequence_number())
        self._modules.append(self.running[-1])

    @contextmanager
    def backward_pass(self) -> Iterator[None]:
        """Charge what runs inside to the modules whose forward made the gradients."""
        self._in_backward = True
        try:
            yield
        finally:
            self._in_backward = False

    def _module_of_backward(self) -> int:
        if len(self.running) > 1:
            return self.running[-1]  # a forward that runs again, as under checkpoint
        node = current_autograd_node()
        if node is None or not self._boundaries:
            return ROOT
        # The node was made by the forward between two boundaries: the module that ran then has it.
        position = bisect_right(self._boundaries, sequence_number_of(node)) - 1
        return self._modules[position] if position >= 0 else ROOT


def note_traced(ledger: Ledger | None, modes: list[Any], func: Any) -> Any:
    """Note an operator with MACs that runs under another library's mode, and return it to be called."""
    if ledger is not None and find_formula(func.name().partition(".")[0]) is not None:
        ledger.traced_under = type(modes[0]).__name__
    return func
