"""Observe code that runs models by itself: count what runs, and replace nothing.

A model is the whole: where a method of a module calls its parts, what they cost within one call of that method is one
call of the outermost module whose method is running and which holds them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.inputs import input_specs, model_class
from pytest_modelbudget.counting.modules.calls import follow_calls
from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.real_run.calls import Call, MethodCall
from pytest_modelbudget.counting.real_run.compiled_code import compiled_code_run_eagerly
from pytest_modelbudget.counting.real_run.costliest import ObservedModels
from pytest_modelbudget.counting.real_run.methods import has_raised, leave_token, method_frames, token_of
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.real_run.tracing import untraced
from pytest_modelbudget.counting.threads import followed_threads
from pytest_modelbudget.counting.torch_private import graph_task_id, tracing_state
from pytest_modelbudget.measurement import Measurement, OperatorCost

_one_at_a_time = threading.RLock()


class Observation:
    """What :func:`observe` has seen.

    ``faults`` says what ran and could not be counted; ``outside`` are the operators with MACs, or without a formula,
    that ran outside of any module.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.models = ObservedModels()
        self._outside: dict[str, list[int]] = {}
        self._unknown_outside: dict[str, list[int]] = {}

    @property
    def measurements(self) -> list[Measurement]:
        """Of each model, in the order of their first calls, the calls that cost most by some metric."""
        return [found for calls in self.by_model for found in calls]

    @property
    def by_model(self) -> list[list[Measurement]]:
        """Of each model, which is a module object, the calls that cost most by some metric."""
        return self.models.by_model

    @property
    def outside(self) -> tuple[OperatorCost, ...]:
        """The operators outside of modules that have MACs."""
        return tuple(OperatorCost(name, "", *tally) for name, tally in self._outside.items())

    @property
    def unknown_outside(self) -> tuple[OperatorCost, ...]:
        """The operators outside of modules that have no formula."""
        return tuple(OperatorCost(name, "", *tally) for name, tally in self._unknown_outside.items())

    def add_outside(self, name: str, macs: int | None) -> None:
        """Note one call of an operator outside of any module."""
        tallies = self._unknown_outside if macs is None else self._outside
        tally = tallies.setdefault(name, [0, 0])
        tally[0] += 1
        tally[1] += macs or 0


@contextmanager
def observe(*, flops_per_mac: int = 2) -> Iterator[Observation]:
    """Count what the modules that are called inside cost, on real data, as they run.

    Nothing is replaced: fused kernels stay, and compiled modules run eagerly. A module called in another thread is a
    fault. Raises ``RuntimeError`` where another thread is observing.
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise RuntimeError("another thread is observing: tests that observe models cannot run in parallel threads")
    seen = Observation()
    observer = _Observer(seen, flops_per_mac)
    try:
        with ExitStack() as stack:
            stack.enter_context(compiled_code_run_eagerly(stack))
            stack.enter_context(follow_calls(observer.enter, observer.leave))
            stack.enter_context(followed_threads(observer.in_other_threads))
            stack.enter_context(observer.mode)
            yield seen
    finally:
        observer.end()
        _one_at_a_time.release()


class _Observer:
    """Follows the module calls of one thread, and the operators that run outside of them."""

    def __init__(self, seen: Observation, flops_per_mac: int) -> None:
        self.mode = RealRun(charge_outside=self._outside)
        self._seen = seen
        self._flops_per_mac = flops_per_mac
        self._thread = threading.get_ident()
        self._depth = 0
        self._call: Call | None = None
        self._method: MethodCall | None = None
        self._branches: dict[int, tuple[Call, Ledger]] = {}
        self._methods: dict[int, MethodCall] = {}
        self._references: dict[int, Any] = {}

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> bool:
        """Start a call of a model or of a part of one, or go one module deeper in it."""
        if threading.get_ident() != self._thread:
            return self._enter_elsewhere(module)
        if self._depth == 0 and _runs_backward():
            return False  # a forward that runs again in the backward pass, as under checkpoint, is no other model
        if self._depth == 0:
            with untraced():
                if not self._start(module, args, kwargs, sys._getframe(2)):
                    return False
        self._depth += 1
        call = self._call
        assert call is not None
        position = call.index.positions.get(id(module))
        running = call.ledger.running
        if position is None:
            call.grown = True
            position = running[-1]
        else:
            call.index.nodes[position].calls += 1
        running.append(position)
        return True

    def _enter_elsewhere(self, module: nn.Module) -> bool:
        """Go one module deeper in a thread that runs a part of a call; in other threads nothing is counted."""
        branch = self._branches.get(threading.get_ident())
        if branch is None:
            if not _runs_backward():
                self._seen.faults.append(
                    f"{model_class(module)} was called in the thread {threading.current_thread().name!r}, "
                    "where its operators cannot be counted"
                )
            return False
        call, ledger = branch
        position = ledger.index.positions.get(id(module))
        if position is None:
            call.grown = True
            position = ledger.running[-1]
        else:
            ledger.index.nodes[position].calls += 1
        ledger.running.append(position)
        return True

    def in_other_threads(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that another thread is to run so that the call that is running now pays for it."""
        branch = self._branches.get(threading.get_ident())
        call = branch[0] if branch else self._call
        if call is None and threading.get_ident() == self._thread:
            call = self._method_call(None, method_frames(sys._getframe(3)) or [])
        if call is None:
            return function
        paying, outer = call, branch[1] if branch else call.ledger

        def counted(*args: Any, **kwargs: Any) -> Any:
            thread = threading.get_ident()
            before = self._branches.get(thread)
            mode = RealRun()
            mode.ledger = outer.branch(thread, outer.running[-1])
            self._branches[thread] = paying, mode.ledger
            try:
                with mode:
                    return function(*args, **kwargs)
            finally:
                if before is None:
                    del self._branches[thread]
                else:
                    self._branches[thread] = before

        return counted

    def leave(self, raised: bool, out: Any) -> None:
        """Return from a module; from the outermost one, keep what its call cost. One that raised cost nothing."""
        if threading.get_ident() != self._thread:
            self._branches[threading.get_ident()][1].running.pop()
            return
        call, method = self._call, self._method
        assert call is not None
        node = call.index.nodes[call.ledger.running.pop()]
        if tracing_state() is None:
            node.note_output(out)
        else:
            with untraced():
                node.note_output(out)
        self._depth -= 1
        if self._depth:
            return
        self.mode.ledger = self._call = self._method = None
        if call is method or raised:
            return
        if method is None:
            with untraced():
                self._keep(call)
        else:
            method.add_call(call)

    def _outside(self, name: str, macs: int | None) -> None:
        """Charge an operator that runs outside of a module call to the module whose method runs it."""
        if threading.get_ident() != self._thread or _runs_backward():
            return
        methods = method_frames(sys._getframe(2))
        if methods is None:
            return
        method = self._method_call(None, methods)
        if method is None:
            self._seen.add_outside(name, macs)
        else:
            method.ledger.charge(name, macs)

    def end(self) -> None:
        """Keep what the methods that have not ended cost so far."""
        for key in [*self._methods]:
            token = self._references[key]()
            self._end_method(key, token is None or not has_raised(token))

    def _start(self, module: nn.Module, args: Any, kwargs: Any, frame: FrameType) -> bool:
        """Start a call, unless it runs while a module is being built."""
        methods = method_frames(frame)
        if methods is None:
            return False
        method = self._method = self._method_call(module, methods)
        if method is None or method.model is module:
            self._call = Call(module, input_specs((args, kwargs)))
        else:
            self._call = method
        self.mode.ledger = self._call.ledger
        return True

    def _method_call(self, part: nn.Module | None, methods: list[tuple[FrameType, nn.Module]]) -> MethodCall | None:
        """Return the call of the outermost method that is running, of a module that holds ``part``."""
        for running, owner in reversed(methods):
            token = token_of(running)
            method = self._methods.get(id(token)) if token is not None else None
            if method is not None and (part is None or id(part) in method.index.positions):
                return method
            index = ModuleIndex(owner)
            if part is not None and id(part) not in index.positions:
                continue
            if method is None:
                return self._new_method(running, owner, index)
            method.refresh(index)  # the part is new
            return method
        return None

    def _new_method(self, frame: FrameType, owner: nn.Module, index: ModuleIndex) -> MethodCall:
        method = MethodCall(owner, frame, index)
        key = 0

        def ended(returned: bool) -> None:
            try:
                self._end_method(key, returned)
            except Exception as error:  # nobody above would show it
                lost = f"what {model_class(owner)} cost is not known: {type(error).__name__}: {error}"
                self._seen.faults.append(lost)

        token, reference = leave_token(frame, ended)
        key = id(token)
        self._methods[key], self._references[key] = method, reference
        return method

    def _end_method(self, key: int, returned: bool) -> None:
        method = self._methods.pop(key, None)
        self._references.pop(key, None)
        if method is not None and returned and (method.costliest is not None or method.ran):
            self._keep(method)

    def _keep(self, call: Call) -> None:
        calls = self._seen.models.calls_of(call.model)
        for found in call.results(self._flops_per_mac):
            calls.add(found)


def _runs_backward() -> bool:
    return graph_task_id() != -1
