"""The handlers of signals: what they raise, and putting back those that were there before a run."""

from __future__ import annotations

import threading
import types

# Those of ``signal`` format the handler that they return, and with it a tensor without data that the handler may hold.
from _signal import getsignal, valid_signals  # type: ignore[import-not-found]
from _signal import signal as set_handler
from collections.abc import Callable
from functools import partial
from typing import Any

_SIGNALS = tuple(valid_signals())


def handlers_to_put_back() -> Callable[[], None]:
    """Return what puts back the handlers of now; ``asyncio.run`` leaves others if the run ends in it."""
    before = {number: getsignal(number) for number in _SIGNALS} if _is_main_thread() else {}

    def put_back() -> None:
        for number, handler in before.items():
            if handler is not None and getsignal(number) is not handler:
                set_handler(number, handler)

    return put_back


def raised_by_a_handler(error: BaseException) -> bool:
    """Return whether the handler of a signal raised an exception, as that of a time limit does."""
    part = error.__traceback__
    if part is None or not _is_main_thread():
        return False
    handlers = {_code_of(getsignal(number)) for number in _SIGNALS} - {None}
    while part is not None and part.tb_frame.f_code not in handlers:
        part = part.tb_next
    return part is not None


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _code_of(handler: Any) -> types.CodeType | None:
    """Return the code that runs when a handler is called."""
    while isinstance(handler, partial):
        handler = handler.func
    for function in (handler, getattr(handler, "__func__", None), type(handler).__call__):
        code = getattr(function, "__code__", None)
        if isinstance(code, types.CodeType):
            return code
    return None
