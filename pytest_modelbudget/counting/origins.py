"""Where an exception came from: the line of user code, outside of torch and of the plugin."""

from __future__ import annotations

import linecache
import os
import types
from pathlib import Path

import torch

from pytest_modelbudget.counting.errors import AutogradNeeded, MeasurementError, ShapeRunStop

_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_PLUGIN = f"{Path(__file__).parent.parent}{os.sep}"


def is_user_code(code: types.CodeType) -> bool:
    """Return whether code belongs neither to torch nor to the plugin."""
    return not code.co_filename.startswith((_TORCH, _PLUGIN, "<frozen", "<string>"))


def user_frames(traceback: types.TracebackType | None) -> list[types.TracebackType]:
    """Return the parts of a traceback that are in user code, outermost first."""
    found = []
    while traceback is not None:
        if is_user_code(traceback.tb_frame.f_code):
            found.append(traceback)
        traceback = traceback.tb_next
    return found


def ending_at_user_line(error: Exception) -> Exception:
    """Return the exception with a traceback that ends at the deepest frame outside of torch and the plugin."""
    trimmed: types.TracebackType | None = None
    for part in reversed(user_frames(error.__traceback__)):
        trimmed = types.TracebackType(trimmed, part.tb_frame, part.tb_lasti, part.tb_lineno)
    return error.with_traceback(trimmed)


class ShapeRunFailure:
    """Why a shape run ended, kept without the frames and tensors of that run."""

    def __init__(self, error: BaseException, stopped_by: BaseException | None) -> None:
        cause = stopped_by if isinstance(stopped_by, ShapeRunStop) else error
        self.operation = str(cause) if isinstance(cause, ShapeRunStop) else ""
        frames = user_frames(cause.__traceback__) or user_frames(error.__traceback__)
        self.line = ""
        if frames:
            path, number = frames[-1].tb_frame.f_code.co_filename, frames[-1].tb_lineno
            self.line = f"{path}:{number}: {linecache.getline(path, number).strip()}"
        self.error = None if isinstance(cause, ShapeRunStop) else error
        self.asked_for_values = isinstance(cause, ShapeRunStop) and not isinstance(cause, AutogradNeeded)
        for held in (error, stopped_by):
            _release_frames(held)

    @property
    def reason(self) -> str:
        """What to add to "a real run"."""
        if not self.operation:
            return ", because the run on shapes failed"
        return f", because it asks for values: {self.operation}" + (f" at {self.line}" if self.line else "")

    def as_exception(self, obstacle: str) -> BaseException:
        """Return the exception to raise where no real run is possible either."""
        if self.error is not None:
            return self.error
        where = f"\n  at {self.line}" if self.line else ""
        return MeasurementError(
            f"the model asks for values that a run on shapes does not have: {self.operation}{where}\n"
            f"A real run would have them, but {obstacle}.\n"
            "Remedies: pass an instance with its weights instead of a factory or a meta model; "
            "pass inputs with values instead of shapes."
        )


def _release_frames(error: BaseException | None) -> None:
    """Drop the frames that an exception and its causes hold, and with them the tensors of the run."""
    while error is not None:
        following = error.__context__
        error.__traceback__ = error.__context__ = error.__cause__ = None
        error = following
