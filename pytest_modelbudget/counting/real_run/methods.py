"""Whose method is running: a module whose parts are called by a method of its own, not through ``model(x)``.

The frames on the stack tell. Nothing keeps a frame alive: a token among its local variables dies with it.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from types import CodeType, FrameType

from torch import nn

from pytest_modelbudget.counting.inputs import input_specs
from pytest_modelbudget.measurement import TensorSpec

_TOKEN = "<pytest-modelbudget>"
"""The name of the local variable: no identifier, so that it is never one of the method's own."""

_MODULE_CALLS = nn.Module.__call__.__code__.co_filename
"""The file in which torch calls modules; its frames belong to the call of the module itself."""


class Token:
    """Lives as long as the call of a method in whose frame it was left."""

    __slots__ = ("__weakref__",)


def method_frames(frame: FrameType | None) -> Iterator[tuple[FrameType, nn.Module]]:
    """Yield the frames in which methods of modules run, the innermost first, with the module of each."""
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and _may_be_method(code) and code.co_filename != _MODULE_CALLS:
            owner = frame.f_locals.get(code.co_varnames[0])
            if isinstance(owner, nn.Module):
                yield frame, owner
        frame = frame.f_back


def _may_be_method(code: CodeType) -> bool:
    """Return whether a function takes ``self``, or was defined in the body of a class."""
    qualified: str = getattr(code, "co_qualname", "")  # Python 3.11
    return code.co_varnames[0] == "self" or "." in qualified.rpartition("<locals>.")[2]


def token_of(frame: FrameType) -> Token | None:
    """Return the token that was left in a frame."""
    found = frame.f_locals.get(_TOKEN)
    return found if isinstance(found, Token) else None


def leave_token(frame: FrameType, ended: Callable[[], None]) -> tuple[Token, weakref.ref[Token]]:
    """Leave a token in a frame, and call ``ended`` when the call that runs in the frame has ended."""
    token = Token()
    frame.f_locals[_TOKEN] = token
    return token, weakref.ref(token, lambda _: ended())


def arguments_of(frame: FrameType) -> tuple[TensorSpec, ...]:
    """Return the tensors among the arguments of the method that runs in a frame, by the names of its parameters."""
    code, local = frame.f_code, frame.f_locals
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    found: list[TensorSpec] = []
    for name in names:
        specs = input_specs(((local.get(name),), {}))
        found += [TensorSpec(spec.name.replace("args[0]", name, 1), spec.shape, spec.dtype) for spec in specs]
    return tuple(found)


def current_frame() -> FrameType:
    """Return the frame that called the caller of this function."""
    return sys._getframe(2)
