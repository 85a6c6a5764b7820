"""Put in place, and take back: everything that a measurement changes outside of itself, in one list."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any

from pytest_modelbudget.counting.errors import NotRestoredError, is_interrupt
from pytest_modelbudget.counting.torch_private import DispatchMode

_ABSENT = object()


class Changes:
    """What is in place now. The last change is taken back first, whatever ends the run.

    An interrupt (a time limit, Ctrl-C) may arrive between any two bytecodes, also while changes are taken back. So what
    takes a change back is on the list before the change is made; it does nothing where there is nothing to take back,
    and may be called twice. A ``with`` block takes back what is changed in it. Where it is interrupted at its very end,
    the block around it does; :func:`measure <pytest_modelbudget.counting.measure>`, which has none around it, asks
    twice. ``subject`` is what is measured.
    """

    def __init__(self) -> None:
        self.subject = "a model"
        self._steps: list[Callable[[], object]] = []
        self._blocks: list[int] = []

    def __enter__(self) -> Changes:
        self._blocks.append(len(self._steps))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self.take_back(self._blocks[-1])
        self._blocks.pop()

    def undo_by(self, step: Callable[[], object]) -> None:
        """Have a change, which is made after this, taken back by ``step``."""
        self._steps.append(step)

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a module or a class; an inherited one is inherited again afterwards."""
        self.undo_by(partial(_put_back, owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, value)

    def enter(self, context: AbstractContextManager[Any]) -> None:
        """Enter a context manager of torch or of another library, and leave it at the end."""
        entered: list[AbstractContextManager[Any]] = []
        self.undo_by(lambda: entered.pop().__exit__(None, None, None) if entered else None)
        context.__enter__()
        entered.append(context)

    def enter_mode(self, mode: DispatchMode) -> None:
        """Enter a dispatch mode of our own."""
        self.undo_by(mode.leave)
        mode.__enter__()  # type: ignore[no-untyped-call]

    def take_back(self, first: int = 0) -> None:
        """Take back every change from the ``first`` on.

        Raises the interrupt that came meanwhile when all is done, and :class:`NotRestoredError` for what cannot be
        taken back.
        """
        __tracebackhide__ = True
        interrupts: list[BaseException] = []
        failures: list[BaseException] = []
        while len(self._steps) > first:
            step = self._steps[-1]
            try:
                step()
            except BaseException as error:
                if is_interrupt(error) and not interrupts:
                    interrupts.append(error)
                    continue  # the step was not finished
                failures.append(error)
            self._steps.pop()
        if interrupts:
            raise interrupts[0]
        if failures:
            what = f"{type(failures[0]).__name__}: {failures[0]}"
            raise NotRestoredError(
                f"measuring {self.subject} changed something that cannot be put back: {what}"
            ) from failures[0]


def _put_back(owner: Any, name: str, value: Any) -> None:
    if value is not _ABSENT:
        setattr(owner, name, value)
    elif name in vars(owner):
        delattr(owner, name)
