"""Observe code that runs models by itself: count every outermost module call, and replace nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.inputs import input_specs, model_class
from pytest_modelbudget.counting.modules.calls import follow_calls
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.results import Request, measurement
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.torch_private import compiler_is_loaded
from pytest_modelbudget.measurement import Measurement


class Observation:
    """What :func:`observe` has seen.

    ``measurements`` has one entry per model, that of its costliest call, in the order of the first calls; a model is a
    module object that has params or MACs. ``faults`` says what ran and could not be counted.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._costliest: dict[int, tuple[nn.Module, Measurement]] = {}

    @property
    def measurements(self) -> list[Measurement]:
        """The costliest call of each model."""
        return [found for _, found in self._costliest.values() if found.params or found.macs or found.unknown]

    def add(self, model: nn.Module, found: Measurement) -> None:
        """Keep a call if it is the costliest of its model so far."""
        known = self._costliest.get(id(model))
        if known is None or _cost(found) > _cost(known[1]):
            self._costliest[id(model)] = (model, found)


def _cost(found: Measurement) -> tuple[int, int, int]:
    return len(found.unknown), found.macs or 0, found.params


@contextmanager
def observe(*, flops_per_mac: int = 2) -> Iterator[Observation]:
    """Count every outermost call of a module that is made inside, on real data, as it runs.

    Nothing is replaced: fused kernels stay, and compiled modules run eagerly. What runs outside of modules is not
    counted; a module called in another thread is a fault.
    """
    seen = Observation()
    mode = RealRun()
    observer = _Observer(seen, mode, flops_per_mac)
    with ExitStack() as stack:
        stack.enter_context(_compiled_code_run_eagerly(stack))
        stack.enter_context(follow_calls(observer.enter, observer.leave))
        stack.enter_context(mode)
        yield seen


class _Observer:
    """Follows the module calls of one thread; a stack of calls with an outermost one is a model's run."""

    def __init__(self, seen: Observation, mode: RealRun, flops_per_mac: int) -> None:
        self._seen = seen
        self._mode = mode
        self._flops_per_mac = flops_per_mac
        self._thread = threading.get_ident()
        self._model: nn.Module | None = None
        self._depth = 0

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> bool:
        """Start a model's run, or go one module deeper in it."""
        if threading.get_ident() != self._thread:
            self._seen.faults.append(
                f"{model_class(module)} was called in the thread {threading.current_thread().name!r}, "
                "where its operators cannot be counted"
            )
            return False
        if self._depth == 0:
            self._model = module
            self._index = ModuleIndex(module)
            self._ledger = self._mode.ledger = Ledger(self._index)
            self._inputs = input_specs((args, kwargs))
        self._depth += 1
        position = self._index.positions.get(id(module))
        running = self._ledger.running
        if position is not None:
            self._index.nodes[position].calls += 1
        running.append(running[-1] if position is None else position)
        return True

    def leave(self) -> None:
        """Return from a module; from the outermost one, keep what its call cost."""
        self._ledger.running.pop()
        self._depth -= 1
        if self._depth or self._model is None:
            return
        self._mode.ledger = None
        if self._index.has_lazy_tensors:
            self._index.count_tensors()
        request = Request(model_class(self._model), False, self._inputs, False, self._flops_per_mac)
        self._seen.add(self._model, measurement(self._index, self._ledger, request, "real"))
        self._model = None


@contextmanager
def _compiled_code_run_eagerly(stack: ExitStack) -> Iterator[None]:
    """Run compiled code eagerly; under a dispatch mode it would not compile, nor ever compile again.

    The machinery takes a second to import, so where it is not loaded, the first ``torch.compile`` sets the stance.
    """
    if not hasattr(torch.compiler, "set_stance"):
        yield
        return
    if compiler_is_loaded():
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    original: Callable[..., Any] = torch.compile

    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compile = original
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        return original(*args, **kwargs)

    torch.compile = compile_eagerly
    try:
        yield
    finally:
        torch.compile = original
