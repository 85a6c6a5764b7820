"""The handlers of signals: what they raise, and putting back those that were there before a run."""

from __future__ import annotations

import signal
import threading
import types

# That of ``signal`` formats the handler that it returns, and with it a tensor without data that the handler may hold.
from _signal import getsignal, valid_signals  # type: ignore[import-not-found]
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

_SIGNALS = tuple(valid_signals())


@contextmanager
def restored_handlers() -> Iterator[None]:
    """Put back the handlers that a run leaves behind, as ``asyncio.run`` does where the run ends in it."""
    if not _is_main_thread():
        yield
        return
    before = {number: getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and getsignal(number) is not handler:
                signal.signal(number, handler)


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
