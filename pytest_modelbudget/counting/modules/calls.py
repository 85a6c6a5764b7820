"""Follow the module calls of a run, without changing any module."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

from torch import nn

from pytest_modelbudget.counting.modules.ledger import Ledger


class _Watch:
    """Stands for ``nn.Module._compiled_call_impl``, which every module call asks for and then calls if it is there.

    Unlike a replaced ``__call__`` it is never copied by what is imported meanwhile (torch.compile's machinery), and
    unlike module hooks it is seen neither by that nor by the model. A module that has a compiled call keeps it.
    """

    def __init__(self, enter: Callable[[nn.Module, Any, Any], bool], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave
        self._call = self._calling()

    def __get__(self, module: nn.Module | None, owner: type) -> Any:
        return None if module is None else MethodType(self._call, module)

    def __set__(self, module: nn.Module, value: Any) -> None:
        module.__dict__[_COMPILED] = value

    def __delete__(self, module: nn.Module) -> None:
        del module.__dict__[_COMPILED]

    def _calling(self) -> Callable[..., Any]:
        enter, leave = self._enter, self._leave

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            run = module.__dict__.get(_COMPILED) or module._call_impl
            if not enter(module, args, kwargs):
                return run(*args, **kwargs)
            try:
                return run(*args, **kwargs)
            finally:
                leave()

        return call


_COMPILED = "_compiled_call_impl"


@contextmanager
def watched(enter: Callable[[nn.Module, Any, Any], bool], leave: Callable[[], None]) -> Iterator[None]:
    """Tell ``enter`` before, and ``leave`` after, every module call; where ``enter`` declines, ``leave`` is not told.

    Of nested watches the innermost alone is told.
    """
    outer = vars(nn.Module)[_COMPILED]
    setattr(nn.Module, _COMPILED, _Watch(enter, leave))
    try:
        yield
    finally:
        setattr(nn.Module, _COMPILED, outer)


@contextmanager
def attributed(ledger: Ledger, training: bool) -> Iterator[None]:
    """Keep the ledger's stack at the innermost running module of the measured model, in this thread."""
    owner = threading.get_ident()
    positions, stack, nodes = ledger.index.positions, ledger.stack, ledger.index.nodes

    def enter(module: nn.Module, *_: Any) -> bool:
        position = positions.get(id(module))
        if position is None or threading.get_ident() != owner:
            return False
        nodes[position].calls += 1
        stack.append(position)
        if training:
            ledger.mark()
        return True

    def leave() -> None:
        stack.pop()
        if training:
            ledger.mark()

    with watched(enter, leave):
        yield
