"""The real run: a forward pass on real data in which every operator is counted as it runs."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.operators import higher_order
from pytest_modelbudget.counting.operators.facts import PLANS, macs_of, plan_of
from pytest_modelbudget.counting.plain_tensors import PLAIN
from pytest_modelbudget.counting.restoring.storages import Storages

_PLAIN = PLAIN | {UninitializedParameter, UninitializedBuffer}


class RealRun(TorchDispatchMode):
    """The mode. Charges ``ledger`` where there is one; copies what is written into where there are ``storages``."""

    supports_higher_order_operators = True

    def __init__(self, storages: Storages | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger: Ledger | None = None
        self._storages = storages

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the wrapper that torch puts around the mode otherwise costs more than the mode

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator and count it."""
        kwargs = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload):
            return higher_order.run(self, func, args, kwargs)
        for kind in types:  # before the plan: subclasses are also asked for sizes, by operators that do not exist
            if kind not in _PLAIN:
                return NotImplemented  # let the subclass unwrap: what it runs inside is counted
        plan = PLANS.get(id(func)) or plan_of(func)
        if plan.decomposes:
            with self:
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        if plan.writes and self._storages is not None:
            for target in plan.written(args, kwargs):
                self._storages.keep(target)
        out = func(*args, **kwargs)
        if self.ledger is not None and (plan.formula is not None or plan.unknown):
            macs = macs_of(plan, args, kwargs, out) if plan.formula is not None else None
            self.ledger.charge(plan.name, macs)
        return out
