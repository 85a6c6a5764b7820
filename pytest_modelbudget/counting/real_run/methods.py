"""Whose method is running: a module whose parts are called by a method of its own, not through ``model(x)``.

The frames on the stack tell. Nothing keeps a frame alive: a token in its ``f_trace``, where no code of the frame sees
it, dies with it.
"""

from __future__ import annotations

import dis
import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.inputs import input_specs
from pytest_modelbudget.measurement import TensorSpec

_MODULE_CALLS = nn.Module.__call__.__code__.co_filename
"""The file in which torch calls modules; its frames belong to the call of the module itself."""

_OF_A_FUNCTION = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS
_PAUSES = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_NOT_RAISED = ("RETURN_", "YIELD_", "RESUME", "SEND")


class Token:
    """Lives as long as the call of a method in whose frame it was left. A debugger's trace function goes on."""

    __slots__ = ("__weakref__", "_traced_by")

    def __init__(self, traced_by: Any) -> None:
        self._traced_by = traced_by

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Token:
        """Hand a trace event to the trace function that was there before."""
        if self._traced_by is not None:
            self._traced_by = self._traced_by(frame, event, argument)
        return self


def method_frames(frame: FrameType | None) -> list[tuple[FrameType, nn.Module]] | None:
    """Return the frames in which methods of modules run, the innermost first, with the module of each.

    None while a module is being built: what its ``__init__`` runs belongs to no call.
    """
    found: list[tuple[FrameType, nn.Module]] = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename != _MODULE_CALLS:
            owner = _first_argument(frame, code)
            if isinstance(owner, nn.Module):
                if code.co_name == "__init__":
                    return None
                if _is_method(code, owner):
                    found.append((frame, owner))
        frame = frame.f_back
    return found


def _first_argument(frame: FrameType, code: CodeType) -> Any:
    """Return the first positional argument of the function that runs in a frame, or the first of its ``*args``."""
    if code.co_argcount:
        name = code.co_varnames[0]
    elif code.co_flags & inspect.CO_VARARGS:
        name = code.co_varnames[code.co_kwonlyargcount]
    else:
        return None
    local = frame.f_locals
    found = local.get(name)
    # Before Python 3.13 the frame keeps what was read, and so everything that its variables held, alive.
    if sys.version_info < (3, 13) and code.co_flags & _OF_A_FUNCTION == _OF_A_FUNCTION and sys.getrefcount(local) <= 3:
        local.clear()
    if code.co_argcount:
        return found
    return found[0] if isinstance(found, tuple) and found else None


def _is_method(code: CodeType, owner: nn.Module) -> bool:
    """Return whether a function takes ``self``, or is an attribute of the module or its class."""
    if code.co_argcount and code.co_varnames[0] == "self":
        return True
    attributes = (vars(owner), *(vars(kind) for kind in type(owner).__mro__ if kind is not nn.Module))
    return any(code in _codes(value) for namespace in attributes for value in [*namespace.values()])


def _codes(attribute: Any) -> Iterator[CodeType]:
    """Yield the code of a method and of all functions that it wraps."""
    pending, seen = [attribute], set[int]()
    while pending:
        one = pending.pop()
        if id(one) in seen or isinstance(one, (type, nn.Module)):
            continue
        seen.add(id(one))
        if inspect.isfunction(one):
            yield one.__code__
            pending += [*_enclosed(one), one.__dict__.get("__wrapped__")]
        elif inspect.ismethod(one) or isinstance(one, (classmethod, staticmethod)):
            pending.append(one.__func__)
        elif isinstance(one, property):
            pending.append(one.fget)


def _enclosed(function: Any) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue


def token_of(frame: FrameType) -> Token | None:
    """Return the token that was left in a frame."""
    found: Any = frame.f_trace
    return found if isinstance(found, Token) else None


def leave_token(frame: FrameType, ended: Callable[[bool], None]) -> tuple[Token, weakref.ref[Token]]:
    """Leave a token in a frame, and call ``ended`` when the call that runs in the frame has ended.

    It is told whether the call returned. What raised is held by a traceback, and so ends only after its caller went on.
    """
    token = Token(frame.f_trace)
    frame.f_trace = token
    pauses, caller = bool(frame.f_code.co_flags & _PAUSES), _place(frame.f_back)
    return token, weakref.ref(token, lambda _: ended(pauses or _place(sys._getframe(1)) == caller))


def _place(frame: FrameType | None) -> tuple[int, int]:
    return (0, 0) if frame is None else (id(frame), frame.f_lasti)


def has_raised(token: Token) -> bool:
    """Return whether the call whose frame still holds a token has ended with an exception."""
    running, frame = set[int](), sys._getframe()
    while frame is not None:
        running.add(id(frame))
        frame = frame.f_back  # type: ignore[assignment]
    for holder in gc.get_referrers(token):
        if isinstance(holder, FrameType) and holder.f_trace is token and id(holder) not in running:
            code = holder.f_code.co_code
            return not dis.opname[code[max(holder.f_lasti, 0)]].startswith(_NOT_RAISED)
    return False


def arguments_of(frame: FrameType) -> tuple[TensorSpec, ...]:
    """Return the tensors among the arguments of the method that runs in a frame, by the names of its parameters."""
    code, local = frame.f_code, frame.f_locals
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    found: list[TensorSpec] = []
    for name in names:
        specs = input_specs(((local.get(name),), {}))
        found += [TensorSpec(spec.name.replace("args[0]", name, 1), spec.shape, spec.dtype) for spec in specs]
    if sys.version_info < (3, 13) and sys.getrefcount(local) <= 3:
        local.clear()
    return tuple(found)
