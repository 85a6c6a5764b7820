"""The mode of the real run: real data, and every operator counted as it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from pytest_modelbudget.counting.modules.ledger import Ledger, note_traced
from pytest_modelbudget.counting.operators import higher_order
from pytest_modelbudget.counting.operators.facts import FactsTable, OperatorFacts, macs_of_call
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.real_run.tracing import untraced
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.torch_private import (
    DisableTorchFunction,
    DispatchMode,
    OpOverload,
    decompose,
    is_fake_tensor_type,
    modes_without_data,
    schema_of,
    sees_torch_functions,
)

_PLAIN_TYPES = PLAIN_TYPES | {UninitializedParameter, UninitializedBuffer}
_DTYPES = {bool: torch.bool, int: torch.int64, float: torch.float64, complex: torch.complex128}
Charge = Callable[[str, int | None], None]
"""What is called with the name of an operator and its MACs, or None where it has no formula."""

FACTS = FactsTable(OperatorFacts)
_known_facts = FACTS.known


class RealRun(DispatchMode):
    """The mode. It charges ``ledger``, or ``charge_outside`` while there is none.

    What is written into is saved in ``storages``, if there are any. What runs under a fake or functional mode that was
    not active when this one was made computes nothing for a model: it is passed on, and none of its sizes is read,
    because a size that is read is no longer dynamic.
    """

    def __init__(
        self,
        storages: StorageSnapshot | None = None,
        charge_outside: Charge | None = None,
        note_outside: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.ledger: Ledger | None = None
        self._storages = storages
        self._charge_outside = charge_outside or _charge_nobody
        self._note_outside = note_outside
        self._own_modes = modes_without_data()

    def foreign_modes(self) -> list[Any]:
        """Return the active modes that compute nothing, such as fake ones, and that began after this one."""
        return [mode for mode in modes_without_data() if mode not in self._own_modes]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator and count it, unseen by function modes."""
        if sees_torch_functions():
            with DisableTorchFunction():
                return self._run(func, types, args, kwargs or {})
        return self._run(func, types, args, kwargs or {})

    def _run(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run one operator and count it."""
        modes = self.foreign_modes()
        if modes:
            return note_traced(self.ledger, modes, func)(*args, **kwargs)
        if not isinstance(func, OpOverload):
            return self._run_higher_order(func, args, kwargs)
        for kind in types:  # before the facts: subclasses are also asked for sizes, by operators that do not exist
            if kind not in _PLAIN_TYPES:
                if not is_fake_tensor_type(kind):
                    return NotImplemented  # let the subclass unwrap: what it runs inside is counted
                if func.namespace == "prim":
                    return func(*args, **kwargs)  # it is asked for its device
        facts = _known_facts.get(id(func)) or FACTS.facts_of(func)
        args = _with_tensors(func, args) if args and type(args[0]) in _DTYPES else args
        # Its parts come back to this mode one by one, and are counted there.
        if facts.is_decomposed:
            with self:
                return decompose(func, args, kwargs)
        storages = self._storages
        out = func(*args, **kwargs) if storages is None else _run_and_save(storages, facts, func, args, kwargs)
        if facts.formula is not None or facts.is_unknown:
            with untraced():
                macs = macs_of_call(facts, args, kwargs, out) if facts.formula is not None else None
            self._charge(facts.name, macs, args)
        elif self.ledger is None and self._note_outside is not None:
            self._note_outside()
        return out

    @property
    def measures(self) -> bool:
        """Whether this is a run of ``measure``, which puts back what it changes, and no observation."""
        return self._storages is not None

    def _charge(self, name: str, macs: int | None, operands: Any = ()) -> None:
        if self.ledger is None:
            self._charge_outside(name, macs)
        else:
            self.ledger.charge(name, macs, operands)

    def for_thread(self) -> RealRun:
        """Return a mode for another thread of the forward."""
        return type(self)(self._storages)

    def in_other_threads(self, function: Callable[..., Any], ledger: Ledger | None = None) -> Callable[..., Any]:
        """Return a function that another thread is to run so that it is counted, for the module that is running now."""
        outer = ledger or self.ledger
        assert outer is not None
        module = outer.running[-1]

        def counted(*args: Any, **kwargs: Any) -> Any:
            thread = threading.get_ident()
            before = outer.branches.get(thread)
            mode = self.for_thread()
            mode.ledger = outer.branch(thread, module)
            try:
                with mode:
                    return function(*args, **kwargs)
            finally:
                if before is None:
                    del outer.branches[thread]
                else:
                    outer.branches[thread] = before

        return counted

    def _run_higher_order(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        ledger = self.ledger
        return higher_order.run(
            func,
            args,
            kwargs,
            counting=self,
            charge=self._charge,
            backward_follows=ledger is not None and ledger.backward_follows,
        )


def _with_tensors(func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments with tensors for the numbers that stand for them.

    The constants of a trace reach a mode as numbers, which few operators take again.
    """
    if any(isinstance(arg, torch.Tensor) for arg in args):  # a number beside a tensor does not decide on the dtype
        return args
    return tuple(
        torch.tensor(arg, dtype=_DTYPES[type(arg)]) if str(argument.type) == "Tensor" and type(arg) in _DTYPES else arg
        for arg, argument in zip(args, schema_of(func).arguments, strict=False)
    )


def _charge_nobody(name: str, macs: int | None) -> None:
    """Ignore an operator that runs while there is no ledger."""


def _run_and_save(storages: StorageSnapshot, facts: OperatorFacts, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run one operator, and copy what it writes into before it does."""
    for target in facts.mutated_tensors(args, kwargs) if facts.mutable_arguments else ():
        storages.save_before_write(target)
    out = func(*args, **kwargs)
    if type(out) is torch.Tensor and facts.creates_tensors:
        storages.note_created(out, () if facts.is_view else [arg for arg in args if isinstance(arg, torch.Tensor)])
    return out
