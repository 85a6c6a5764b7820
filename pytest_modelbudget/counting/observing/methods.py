"""Whose method is running: a module whose parts are called by a method of its own, not through ``model(x)``.

The frames on the stack tell. Nothing keeps a frame alive, nor what its variables held: a token in the place of the
frame's trace function dies with it. In a frame that may be resumed, where coverage puts its own trace function each
time, the token is among the local variables.
"""

from __future__ import annotations

import dis
import gc
import inspect
import sys
import weakref
from collections.abc import Callable
from operator import is_
from types import CodeType, FrameType, FunctionType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.asking.input_tensors import Inputs, input_specs
from pytest_modelbudget.counting.modules import following
from pytest_modelbudget.counting.observing.references import attributes_of, functions_in, items_of
from pytest_modelbudget.measurement import TensorSpec

_MODULE_CALLS = nn.Module.__call__.__code__.co_filename
"""The file in which torch calls modules; its frames belong to the call of the module itself."""
_PLAIN_CALL = vars(nn.Module)["_call_impl"].__code__
_CALLERS = (_MODULE_CALLS, following.__file__)

_TOKEN = "<pytest-modelbudget>"  # no identifier, so that it is never a variable of the method's own
_OF_FRAME_AND_HERE = 3  # references, with the one that counts them
_GOES_ON = ("RESUME", "RETURN_", "SEND", "YIELD_")
"""The last instructions of a frame that has returned, or may be resumed; of any other an exception has ended it."""


Methods = list[tuple[FrameType, nn.Module]]
"""The frames in which methods of modules run, the innermost first, with the module of each."""


class Token:
    """Lives as long as the frame of a method's call. A trace function that was there before is called as before."""

    __slots__ = ("__weakref__", "original")

    def __init__(self, original: Any) -> None:
        self.original = original

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Token:
        if self.original is not None:
            self.original = self.original(frame, event, argument)
        return self


def running_methods(frame: FrameType | None) -> Methods | None:
    """Return the methods of modules that run in a frame and its callers.

    None while a module is being built: what its ``__init__`` runs belongs to no call.
    """
    found: Methods = []
    while frame is not None:
        code, caller = frame.f_code, frame.f_back
        of_a_call = caller is not None and caller.f_code.co_filename == _MODULE_CALLS
        past_the_call = code is _PLAIN_CALL and caller is not None and caller.f_code.co_filename not in _CALLERS
        if past_the_call or (not of_a_call and code.co_filename != _MODULE_CALLS):
            owner: Any = first_argument(frame) if _may_have_owner(code) else None
            if issubclass(type(owner), nn.Module):
                if code.co_name == "__init__":
                    return None
                if token_of(frame) or _is_method_of(owner, frame):
                    found.append((frame, owner))
            elif (holder := _holder_among_variables(frame, owner)) is not None:
                found.append((frame, holder))
        frame = caller
    return found


def _holder_among_variables(frame: FrameType, owner: Any) -> nn.Module | None:
    """Return the module that holds the function which runs in a frame.

    It is one of those that the function closes over or is given, or that the object holds whose method it is.
    """
    code = frame.f_code
    names = [*code.co_freevars, *code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]]
    values = [*(_read(frame, names) if names else ()), *attributes_of(owner)]
    modules = (value for value in values if issubclass(type(value), nn.Module))
    return next((module for module in modules if _holds(module, frame)), None)


def _may_have_owner(code: CodeType) -> bool:
    """Return whether the code is that of a function with a first argument."""
    takes_one = code.co_argcount or code.co_flags & inspect.CO_VARARGS
    return bool(takes_one) and (not code.co_name.startswith("<") or code.co_name == "<lambda>")


def _is_method_of(owner: nn.Module, frame: FrameType) -> bool:
    """Return whether the function that runs takes ``self``, or is an attribute of a module or of its classes."""
    code = frame.f_code
    return (bool(code.co_argcount) and code.co_varnames[0] == "self") or _holds(owner, frame)


def _holds(owner: nn.Module, frame: FrameType) -> bool:
    """Return whether the function that runs is an attribute of a module or of its classes, or an item of one."""
    holders = (owner, *[kind for kind in type(owner).__mro__ if kind not in (nn.Module, object)])
    values = (item for holder in holders for value in vars(holder).values() for item in items_of(value))
    called = (function_or_object for value in values for function_or_object in (value, _call_of(type(value))))
    functions = (function for function_or_object in called for function in functions_in(function_or_object))
    return any(function.__code__ is frame.f_code and _runs_in(function, frame) for function in functions)


def _call_of(kind: type) -> Any:
    """Return what is called where an object of a class is."""
    return next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)


def _runs_in(function: FunctionType, frame: FrameType) -> bool:
    """Return whether a function that has the code of a frame closes over the same too: decorators share their code."""
    names = list(frame.f_code.co_freevars)
    try:
        contents = [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:
        return True  # one is not assigned yet
    return not names or all(map(is_, contents, _read(frame, names)))


def runs_a_method(part: Any) -> bool:
    """Return whether a generator or coroutine runs a method, and so is seen when it goes on."""
    frames = (getattr(part, name, None) for name in ("gi_frame", "cr_frame", "ag_frame"))
    frame = next((frame for frame in frames if frame is not None), None)
    return frame is not None and _may_have_owner(frame.f_code) and issubclass(type(first_argument(frame)), nn.Module)


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
    unless somebody else has it too, or a token is in it.
    """
    variables = frame.f_locals
    found = [variables.get(name) for name in names]
    if sys.version_info < (3, 13) and not _may_resume(frame.f_code):
        if sys.getrefcount(variables) <= _OF_FRAME_AND_HERE:
            variables.clear()
    return found


def token_of(frame: FrameType) -> Token | None:
    """Return the token that was left in a frame."""
    found: Any = frame.f_locals.get(_TOKEN) if _may_resume(frame.f_code) else frame.f_trace
    return found if isinstance(found, Token) else None


def leave_token(frame: FrameType, ended: Callable[[bool], None]) -> tuple[Token, weakref.ref[Token]]:
    """Leave a token in a frame, and call ``ended`` when the frame is gone, with whether an exception has ended it.

    A frame that raised is held by the traceback, and so goes only when its caller is at another instruction.
    """
    token, caller = Token(frame.f_trace), _place(frame.f_back)
    resumes = _may_resume(frame.f_code)
    if resumes:
        frame.f_locals[_TOKEN] = token
    else:
        frame.f_trace = token
    return token, weakref.ref(token, lambda _: ended(not resumes and _place(sys._getframe(1)) != caller))


def _place(frame: FrameType | None) -> tuple[int, int]:
    return (0, 0) if frame is None else (id(frame), frame.f_lasti)


def has_raised(token: Token) -> bool:
    """Return whether an exception has ended the frame that still holds a token, where nothing of it runs any more."""
    # The frame holds the token as its trace function, so it is among the objects that refer to the token.
    holders = (frame for frame in gc.get_referrers(token) if isinstance(frame, FrameType) and frame.f_trace is token)
    frame = next(holders, None)
    if frame is None:
        return False
    # An exception leaves the frame at the instruction that raised; every other end stands at one of a few.
    last_instruction = frame.f_code.co_code[max(frame.f_lasti, 0)]
    return not dis.opname[last_instruction].startswith(_GOES_ON)


def _may_resume(code: CodeType) -> bool:
    """Return whether code is that of a generator or a coroutine, whose frame may outlive its callers."""
    return bool(code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))


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
    """Return the specs of the tensors in inputs of any kind; none where looking for them raises."""
    try:
        return input_specs(inputs)
    except Exception:
        return ()
