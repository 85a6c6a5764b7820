"""A real run that follows what is alive: below autograd, where composite operators are whole."""

from __future__ import annotations

from typing import Any

from pytest_modelbudget.counting.memory.lifetimes import Lifetimes
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.real_run.mode import FACTS, RealRun
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.composites import BelowAutograd
from pytest_modelbudget.counting.torch_private import OpOverload, is_composite


class MemoryRun(RealRun):
    """The mode. What composite operators call is counted, and what they return is followed."""

    def __init__(self, storages: StorageSnapshot, lifetimes: Lifetimes) -> None:
        super().__init__(storages)
        self.below_autograd = BelowAutograd()
        self._lifetimes = lifetimes

    def for_thread(self) -> RealRun:
        """Return a mode for another thread, in which composite operators are not whole: no lifetime is known."""
        self._lifetimes.are_known = False
        return RealRun(self._storages)

    def _run(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if not isinstance(func, OpOverload) or not PLAIN_TYPES.issuperset(types):
            return super()._run(func, types, args, kwargs)

        def run(func: Any, args: Any, kwargs: Any) -> Any:
            if self.below_autograd.is_active and is_composite(func):
                return self.below_autograd.run_with_autograd(self, func, args, kwargs)
            return super(MemoryRun, self)._run(func, types, args, kwargs)

        return self._lifetimes.around(run, FACTS, func, args, kwargs)
