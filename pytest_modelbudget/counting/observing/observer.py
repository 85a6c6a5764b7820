"""Observe code that runs models by itself: count what runs, and replace nothing.

A model is the whole: where a method of a module calls its parts, what they cost within one call of that method is one
call of the outermost module whose method is running and which holds them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.asking.inputs import model_class
from pytest_modelbudget.counting.measuring import measure
from pytest_modelbudget.counting.modules.following import call_between, follow_calls
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.outputs import name_of_unfinished, unfinished_parts
from pytest_modelbudget.counting.observing.calls import Call, MethodCall, RunningMethods
from pytest_modelbudget.counting.observing.eagerly import run_compiled_code_eagerly
from pytest_modelbudget.counting.observing.methods import (
    running_methods,
    runs_a_method,
    specs_of_any,
)
from pytest_modelbudget.counting.observing.observation import Observation
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.real_run.tracing import untraced
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.kernels import switch_opt_einsum_off
from pytest_modelbudget.counting.threads import follow_threads
from pytest_modelbudget.counting.torch_private import graph_task_id
from pytest_modelbudget.measurement import Measurement, MeasurementError

_one_at_a_time = threading.RLock()


@contextmanager
def observe(*, flops_per_mac: int = 2, memory: bool = False) -> Iterator[Observation]:
    """Count what the modules that are called inside cost, on real data, as they run.

    Nothing is replaced: fused kernels stay, and compiled modules run eagerly. A module called in a thread that the
    model did not start is a fault. With ``memory`` each call of a model is measured once more, before it begins, for
    what is alive can be followed only where composite operators are whole. Raises ``RuntimeError`` where another thread
    is observing.
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise RuntimeError("another thread is observing: tests that observe models cannot run in parallel threads")
    seen = Observation()
    observer = _Observer(seen, flops_per_mac, memory)
    try:
        with Changes() as changes:
            run_compiled_code_eagerly(changes)
            switch_opt_einsum_off(changes)
            follow_calls(changes, call_between(observer.enter, observer.leave))
            follow_threads(changes, observer.in_other_threads, observer.unseen)
            changes.enter_mode(observer.mode)
            yield seen
    finally:
        observer.methods.end_all()
        _one_at_a_time.release()


class _Observer:
    """Follows the module calls of one thread and of those that it starts, and the operators outside of them."""

    def __init__(self, seen: Observation, flops_per_mac: int, memory: bool) -> None:
        self.mode = RealRun(charge_outside=self._outside, note_outside=self._note_outside)
        self._seen = seen
        self._flops_per_mac = flops_per_mac
        self._wants_memory = memory
        self._is_measuring = False
        self._thread = threading.get_ident()
        self._depth = 0
        self._call: Call | None = None
        self._method: MethodCall | None = None
        self.methods = RunningMethods(self._keep, seen.faults.append)

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> bool:
        """Start a call of a model or of a part of one, or go one module deeper in it."""
        if self._is_measuring:
            return False
        # Under a fake or tracing mode nothing is computed, so that there is nothing to count.
        modes = self.mode.foreign_modes()
        if modes:
            self._seen.traced_under.add(type(modes[0]).__name__)
            return False
        if self._depth == 0 and _runs_backward():
            return False  # a forward that runs again in the backward pass, as under checkpoint, is no other model
        if threading.get_ident() != self._thread:
            return self._enter_elsewhere(module)
        if self._depth == 0:
            with untraced():
                if not self._start(module, args, kwargs, sys._getframe(2)):
                    return False
        self._depth += 1
        call = self._call
        assert call is not None
        # From here on the mode charges operators to this module.
        self._go_on(module, call, call.ledger.running)
        return True

    def leave(self, raised: bool, out: Any) -> None:
        """Return from a module; from the outermost one, keep what its call cost. One that raised cost nothing."""
        if threading.get_ident() != self._thread:
            self._leave_elsewhere()
            return
        call, method = self._call, self._method
        assert call is not None
        with untraced():
            call.index.nodes[call.ledger.running.pop()].note_output(out)
        self._depth -= 1
        if self._depth:
            return
        self.mode.ledger = self._call = self._method = None
        if call is method or raised:
            return  # what a part of the model cost is in the ledger of the method that called it
        # A generator or coroutine that was returned has not run yet: what it will cost cannot be counted.
        for part in unfinished_parts(out):
            if not runs_a_method(part):
                call.ledger.charge_unseen(name_of_unfinished(part))
        call.end()
        if method is None:
            self._keep(call)
        else:
            method.add_call(call)

    def in_other_threads(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that another thread is to run so that it is counted, where a model hands it over."""
        ledger = self.mode.ledger
        if ledger is None:
            method = self.methods.outermost(running_methods(sys._getframe(2)) or [])
            if method is None:
                return self._watched(function)
            ledger = method.ledger
        return self.mode.in_other_threads(function, ledger)

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that another thread is to run, so that what it runs outside of any module is noted."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with RealRun(charge_outside=self._outside_elsewhere):
                return function(*args, **kwargs)

        return run

    def _outside_elsewhere(self, name: str, macs: int | None) -> None:
        running = running_methods(sys._getframe(3))
        if running:
            self._lose(running[-1][1])
        elif running is not None:
            self._seen.add_outside(name, macs)

    def _lose(self, module: nn.Module) -> None:
        """Say that a module runs where nothing is counted."""
        fault = (
            f"{model_class(module)} was called in the thread {threading.current_thread().name!r}, "
            "where its operators cannot be counted"
        )
        if fault not in self._seen.faults:
            self._seen.faults.append(fault)

    def unseen(self, name: str) -> None:
        """Charge what nothing can follow to the model that hands it over."""
        if self.mode.ledger is not None:
            self.mode.ledger.charge_unseen(name)
        else:
            self._outside(name, None)

    def _ledgers(self) -> list[Ledger]:
        running = [] if self._call is None else [self._call.ledger]
        return running + self.methods.ledgers

    def _enter_elsewhere(self, module: nn.Module) -> bool:
        thread = threading.get_ident()
        for ledger in self._ledgers():
            branch = ledger.branches.get(thread)
            position = ledger.index.positions.get(id(module))
            if branch is not None and position is not None:
                ledger.index.nodes[position].calls += 1
                branch.running.append(position)
                return True
        self._lose(module)
        return False

    def _leave_elsewhere(self) -> None:
        thread = threading.get_ident()
        for ledger in self._ledgers():
            if thread in ledger.branches:
                ledger.branches[thread].running.pop()

    def _go_on(self, module: nn.Module, call: Call, running: list[int]) -> None:
        """Let the operators that follow belong to a module; one that the model did not have belongs to its caller."""
        position = call.index.positions.get(id(module))
        if position is None:
            call.ledger.settle()
            position = call.index.positions.get(id(module), running[-1])
        if call.index.nodes[position].module is module:
            call.index.nodes[position].calls += 1
        running.append(position)

    def _outside(self, name: str, macs: int | None) -> None:
        """Charge an operator that runs outside of a module call to the module whose method runs it."""
        if threading.get_ident() != self._thread:
            return
        running = running_methods(sys._getframe(3))
        if running is None:
            return
        method = self.methods.outermost(running)
        if _runs_backward() and (method is None or not method.is_forward):
            return
        if method is None:
            self._seen.add_outside(name, macs)
        else:
            method.ledger.charge(name, macs)

    def _note_outside(self) -> None:
        """See a ``forward`` that is called by itself, of a model that has no operator with MACs."""
        # Three frames up is the code that called the operator: below it are the mode's two methods and this one.
        frame = sys._getframe(3)
        if frame.f_code.co_name == "forward" and threading.get_ident() == self._thread and not _runs_backward():
            self.methods.outermost(running_methods(frame) or [])

    def _start(self, module: nn.Module, args: Any, kwargs: Any, frame: FrameType) -> bool:
        """Start a call, and return whether it is one: what a constructor runs is none."""
        running = running_methods(frame)
        if running is None:
            return False
        method = self._method = self.methods.outermost(running, module)
        if method is None or method.model is module:
            self._call = Call(module, specs_of_any((args, kwargs)), memory=self._memory_of(module, args, kwargs))
        else:
            self._call = method
        self.mode.ledger = self._call.ledger
        return True

    def _memory_of(self, module: nn.Module, args: Any, kwargs: Any) -> Measurement | None:
        """Measure the memory of a call that is about to begin; None where that is not asked for, or cannot be."""
        if not self._wants_memory:
            return None
        self._is_measuring = True
        try:
            return measure(module, args, kwargs, memory=True)
        except Exception:  # the limit is an error then, and what the model raises is going to be raised by the call
            return None
        finally:
            self._is_measuring = False

    def _keep(self, call: Call) -> None:
        try:
            self._seen.models.calls_of(call.model).add(call.result(self._flops_per_mac))
        except MeasurementError:
            self._seen.traced_under.add(call.ledger.traced_under)


def _runs_backward() -> bool:
    return graph_task_id() != -1
