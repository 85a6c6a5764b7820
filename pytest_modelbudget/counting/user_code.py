"""Where an exception came from: the line of user code, outside of torch and of the plugin."""

from __future__ import annotations

import linecache
import os
import re
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch

from pytest_modelbudget.counting.errors import AutogradNeeded, ShapeRunStop, parts_of
from pytest_modelbudget.measurement import MeasurementError

_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_PLUGIN = f"{Path(__file__).parent.parent}{os.sep}"


def is_user_code(code: types.CodeType) -> bool:
    """Return whether code belongs neither to torch nor to the plugin."""
    return not code.co_filename.startswith((_TORCH, _PLUGIN, "<frozen", "<string>"))


def user_frames(parts: types.TracebackType | None) -> list[types.TracebackType]:
    """Return the parts of a traceback that are in user code, outermost first."""
    found = []
    while parts is not None:
        if is_user_code(parts.tb_frame.f_code):
            found.append(parts)
        parts = parts.tb_next
    return found


def raise_unchanged(error: Exception) -> NoReturn:
    """Raise an exception of the model, with a traceback that ends at the deepest frame outside of torch and the plugin.

    Cause, context and whether the context is shown stay as the model left them.
    """
    __tracebackhide__ = True
    chain = error.__cause__, error.__context__, error.__suppress_context__
    try:
        raise error.with_traceback(_user_part(error.__traceback__))
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = chain


def _user_part(whole: types.TracebackType | None) -> types.TracebackType | None:
    trimmed: types.TracebackType | None = None
    for part in reversed(user_frames(whole)):
        trimmed = types.TracebackType(trimmed, part.tb_frame, part.tb_lasti, part.tb_lineno)
    return trimmed


def text_of(error: BaseException) -> str:
    """Return the message of an exception; never that of a tensor among its arguments, which may have no values."""
    return " ".join(argument for argument in error.args if isinstance(argument, str))


def asks_for_gradients(error: BaseException) -> bool:
    """Return whether an exception says that gradients are missing, or in the way of what a run without them does."""
    return isinstance(error, RuntimeError) and re.search("grad|differentia|derivative", text_of(error)) is not None


class ShapeRunFailure:
    """Why a shape run ended. ``error`` is the model's own exception, if it was one, without the tensors of its frames.

    ``check`` finds out whether a tensor of the run still lives; the exception may hold some.
    """

    def __init__(self, error: BaseException, stopped_by: BaseException | None, check: Callable[[], None]) -> None:
        cause = stopped_by if isinstance(stopped_by, ShapeRunStop) else error
        is_stop = isinstance(cause, ShapeRunStop)
        self.operation = str(cause) if is_stop else ""
        frames = user_frames(cause.__traceback__) or user_frames(error.__traceback__)
        self.line = ""
        if frames:
            path, number = frames[-1].tb_frame.f_code.co_filename, frames[-1].tb_lineno
            self.line = f"{path}:{number}: {linecache.getline(path, number).strip()}"
        self.error = error if isinstance(error, Exception) and not is_stop else None
        self.needs_autograd = isinstance(cause, AutogradNeeded) or asks_for_gradients(error)
        self._check = check
        for held in (error, stopped_by):
            _clear_frames(held, set())

    @property
    def reason(self) -> str:
        """What to add to "a real run"."""
        if not self.operation:
            return ", because the run on shapes failed"
        return f", because it asks for values: {self.operation}" + (f" at {self.line}" if self.line else "")

    def forget(self) -> None:
        """Let go of the exception, and check that no tensor of the run outlives it."""
        if self.error is not None:
            self.error.__traceback__ = None  # the model may keep it, and raise it again
            self.error = None
        self._check()

    def as_exception(self, obstacle: str, dtypes: str) -> MeasurementError:
        """Return the exception to raise where values were asked for, or dtypes differ, and no real run is possible."""
        where = f"\n  at {self.line}" if self.line else ""
        if dtypes and "dtypes" in self.operation:
            return MeasurementError(f"{self.operation}: {dtypes}{where}")
        return MeasurementError(
            f"the model asks for values that a run on shapes does not have: {self.operation}{where}\n"
            f"A real run would have them, but {obstacle}.\n"
            "Remedies: pass an instance with its weights instead of a factory or a meta model; "
            "pass inputs with values instead of shapes."
        )


def _clear_frames(error: BaseException | None, seen: set[int]) -> None:
    """Clear the local variables of all frames that an exception and those that it is chained to hold."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = _user_part(error.__traceback__)
    for other in (error.__cause__, error.__context__, *parts_of(error)):
        _clear_frames(other, seen)
