"""Follow the module calls of a run, without changing any module."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.modules.outputs import shapes_of_output
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.torch_names import COMPILED_CALL
from pytest_modelbudget.counting.torch_private import plain_call_of, unseen_by_function_modes

Call = Callable[..., Any]
Enter = Callable[[nn.Module, Any, Any], bool]
Leave = Callable[[bool, Any], None]

OTHER_THREAD = "threading::call"
"""Stands among the unknown operators for a module that was called in another thread."""

_NOBODY = vars(nn.Module)[COMPILED_CALL]
_followers: list[Any] = []


class _CallDescriptor:
    """Stands for the attribute that every module call reads, and calls if it is there: a compiled ``forward``.

    Unlike a replaced ``__call__`` it is never copied by what is imported meanwhile (torch.compile's machinery), and
    unlike module hooks it is seen neither by that nor by the model. A module that has a compiled call keeps it.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def __get__(self, module: nn.Module | None, owner: type) -> Any:
        return None if module is None else MethodType(self._call, module)

    def __set__(self, module: nn.Module, value: Any) -> None:
        module.__dict__[COMPILED_CALL] = value

    def __delete__(self, module: nn.Module) -> None:
        del module.__dict__[COMPILED_CALL]


def call_between(enter: Enter, leave: Leave) -> Call:
    """Return a function for ``follow_calls``: ``enter``, the module's own call, ``leave``.

    ``leave`` is told whether the call raised, and what it returned; it is left out where ``enter`` returns False.
    """

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        # A module that torch.compile was called on keeps its own compiled call.
        run = module.__dict__.get(COMPILED_CALL) or plain_call_of(module)
        with unseen_by_function_modes():
            entered = enter(module, args, kwargs)
        if not entered:
            return run(*args, **kwargs)
        try:
            out = run(*args, **kwargs)
        except BaseException:
            with unseen_by_function_modes():
                leave(True, None)
            raise
        with unseen_by_function_modes():
            leave(False, out)
        return out

    return call


def follow_calls(changes: Changes, call: Call) -> None:
    """Let ``call``, which is given the module and its arguments, stand for every module call.

    Of several only the last does; they may end in any order, as those of other threads do.
    """
    follower = _CallDescriptor(call)
    changes.undo_by(partial(_unfollow, follower))
    _followers.append(follower)
    setattr(nn.Module, COMPILED_CALL, follower)


def _unfollow(follower: _CallDescriptor) -> None:
    others = [other for other in _followers if other is not follower]
    setattr(nn.Module, COMPILED_CALL, others[-1] if others else _NOBODY)
    _followers[:] = others


def attribute_calls(changes: Changes, ledger: Ledger, backward: bool) -> None:
    """Keep the ledger's stack of running modules while the measured model runs, in this thread and those it starts.

    With ``backward``, also note at which autograd nodes one module ends and another begins.
    """
    get_ident = threading.get_ident
    thread = get_ident()
    positions, nodes, running_here = ledger.index.positions, ledger.index.nodes, ledger.running

    def running_elsewhere(position: int) -> list[int] | None:
        branch = ledger.branches.get(get_ident())
        if branch is None:
            ledger.charge_unknown(position, OTHER_THREAD)  # the operators of a thread of others are not seen
            return None
        return branch.running

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        # One function: nothing else runs once for every module of every model.
        run = module.__dict__.get(COMPILED_CALL) or plain_call_of(module)
        position = positions.get(id(module))
        if position is None:
            return run(*args, **kwargs)
        here = get_ident() == thread
        running = running_here if here else running_elsewhere(position)
        if running is None:
            return run(*args, **kwargs)
        node = nodes[position]
        node.calls += 1
        running.append(position)
        if backward and here:
            ledger.note_module_boundary()
        try:
            out = run(*args, **kwargs)
        finally:
            running.pop()
            if backward and here:
                ledger.note_module_boundary()
        if node.outputs is None:
            node.outputs = shapes_of_output(out)
        return out

    follow_calls(changes, call)
