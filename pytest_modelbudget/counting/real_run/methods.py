"""Whose method is running: a module whose parts are called by a method of its own, not through ``model(x)``.

The frames on the stack tell. Nothing keeps a frame alive, nor what its variables held: a token in the place of the
frame's trace function dies with it.
"""

from __future__ import annotations

import dis
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.inputs import Inputs, input_specs
from pytest_modelbudget.counting.model_code import functions_in
from pytest_modelbudget.measurement import TensorSpec

_MODULE_CALLS = nn.Module.__call__.__code__.co_filename
"""The file in which torch calls modules; its frames belong to the call of the module itself."""

_KEEPS_LOCALS = frozenset(("locals", "vars", "f_locals"))
_keep_locals: dict[int, tuple[CodeType, bool]] = {}
_HAS_PROXIES = sys.version_info >= (3, 13)
_LET_GO = ("DELETE_", "POP_EXCEPT", "POP_TOP", "RERAISE", "STORE_DEREF", "STORE_FAST", "STORE_GLOBAL", "STORE_NAME")
"""The instructions that call nothing: a frame that dies in one of them was held by the traceback of an exception."""


class Token:
    """Lives as long as the frame of a method's call. A trace function that was there before is called as before."""

    __slots__ = ("__weakref__", "original")

    def __init__(self, original: Any) -> None:
        self.original = original

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Token:
        if self.original is not None:
            self.original = self.original(frame, event, argument)
        return self


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a module that is running in a frame. ``builds``: it is the constructor."""

    frame: FrameType
    owner: nn.Module
    builds: bool


_MARGIN = 8
"""How many frames there are at most between those that start to observe and those that both have below them."""


def depth_of(frame: FrameType | None) -> int:
    """Return how many frames are on the stack below a frame, and surely will be while what it starts goes on."""
    depth = -_MARGIN
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return max(depth, 0)


def running_methods(frame: FrameType | None, below: int) -> Iterator[Method]:
    """Yield the methods of modules that run, the innermost first, leaving out the ``below`` outermost frames."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    for frame in frames[: len(frames) - below]:
        code = frame.f_code
        builds = code.co_name == "__init__"
        caller = frame.f_back
        of_a_call = caller is not None and caller.f_code.co_filename == _MODULE_CALLS
        if not of_a_call and code.co_filename != _MODULE_CALLS and _may_have_owner(code):
            owner = first_argument(frame)
            if isinstance(owner, nn.Module) and (builds or token_of(frame) or _is_method_of(owner, code)):
                yield Method(frame, owner, builds)


def _may_have_owner(code: CodeType) -> bool:
    """Return whether the code is that of a function with a first argument, which may be read."""
    takes_one = code.co_argcount or code.co_flags & inspect.CO_VARARGS
    if not takes_one or (code.co_name.startswith("<") and code.co_name != "<lambda>"):
        return False
    return code.co_varnames[0] == "self" or _HAS_PROXIES or not _may_keep_locals(code)


def _may_keep_locals(code: CodeType) -> bool:
    """Return whether a function may hold the dict of its variables; the assertions that pytest rewrites only look."""
    names = _KEEPS_LOCALS.intersection(code.co_names)
    if not names or "@py_builtins" not in code.co_names:
        return bool(names)
    known = _keep_locals.get(id(code))
    if known is None:
        loads = [one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
        known = _keep_locals[id(code)] = code, not _KEEPS_LOCALS.isdisjoint(loads) or "f_locals" in names
    return known[1]


def _is_method_of(owner: nn.Module, code: CodeType) -> bool:
    """Return whether a class of a module, or the module itself, has an attribute that runs this code."""
    holders = (owner, *[kind for kind in type(owner).__mro__ if kind not in (nn.Module, object)])
    values = (value for holder in holders for value in vars(holder).values())
    return any(function.__code__ is code for value in values for function in functions_in(value))


def first_argument(frame: FrameType) -> Any:
    """Return the first positional argument of the function that runs in a frame."""
    code = frame.f_code
    if code.co_argcount:
        return _read(frame, [code.co_varnames[0]])[0]
    (rest,) = _read(frame, [code.co_varnames[code.co_kwonlyargcount]])
    return rest[0] if isinstance(rest, tuple) and rest else None


def _read(frame: FrameType, names: list[str]) -> list[Any]:
    """Return variables of a running function.

    Before Python 3.13 the frame keeps a dict of what all its variables held, and the objects alive: it is emptied,
    unless the function itself may have it.
    """
    variables = frame.f_locals
    found = [variables.get(name) for name in names]
    if not _HAS_PROXIES and not _may_keep_locals(frame.f_code):
        variables.clear()
    return found


def token_of(frame: FrameType) -> Token | None:
    """Return the token that was left in a frame."""
    found: Any = frame.f_trace
    return found if isinstance(found, Token) else None


def leave_token(frame: FrameType, ended: Callable[[bool], None]) -> tuple[Token, weakref.ref[Token]]:
    """Leave a token in a frame, and call ``ended`` when the frame is gone, with whether an exception has ended it."""
    token = Token(frame.f_trace)
    caller = id(frame.f_back)
    resumes = may_resume(frame.f_code)

    def gone(_: object) -> None:
        now = sys._getframe(1)
        ended(not resumes and (id(now) != caller or _lets_go(now)))

    frame.f_trace = token
    return token, weakref.ref(token, gone)


def may_resume(code: CodeType) -> bool:
    """Return whether code is that of a generator or a coroutine, whose frame may outlive its callers."""
    return bool(code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))


def _lets_go(frame: FrameType) -> bool:
    code = frame.f_code.co_code
    return frame.f_lasti >= 0 and dis.opname[code[frame.f_lasti]].startswith(_LET_GO)


def arguments_of(frame: FrameType) -> tuple[TensorSpec, ...]:
    """Return the tensors among the arguments of the method that runs in a frame, by the names of its parameters."""
    code = frame.f_code
    names = list(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    found: list[TensorSpec] = []
    for name, value in zip(names, _read(frame, names), strict=True):
        specs = specs_of_any(((value,), {}))
        found += [TensorSpec(spec.name.replace("args[0]", name, 1), spec.shape, spec.dtype) for spec in specs]
    return tuple(found)


def specs_of_any(inputs: Inputs) -> tuple[TensorSpec, ...]:
    """Return the specs of the inputs of others, which may be anything; none where they cannot be walked through."""
    try:
        return input_specs(inputs)
    except Exception:
        return ()
