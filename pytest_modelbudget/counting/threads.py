"""Follow the work that a forward hands to other threads, where no mode sees it by itself."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_modelbudget.counting.restoring.changes import Changes

Around = Callable[[Callable[..., Any]], Callable[..., Any]]
Unseen = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _HandOver:
    """A function or method that takes functions for another thread: ``functions`` are their positions and names."""

    module: str
    owner: str
    name: str
    functions: tuple[tuple[int, str], ...]


_POOL_OF_THREADS = ("multiprocessing.pool", "ThreadPool")
_HAND_OVERS = (
    _HandOver("_thread", "", "start_new_thread", ((0, "function"),)),
    _HandOver("asyncio.base_events", "BaseEventLoop", "call_soon_threadsafe", ((1, "callback"),)),
    _HandOver("concurrent.futures._base", "Future", "add_done_callback", ((1, "fn"),)),
    _HandOver("concurrent.futures.thread", "ThreadPoolExecutor", "__init__", ((3, "initializer"),)),
    _HandOver("concurrent.futures.thread", "ThreadPoolExecutor", "submit", ((1, "fn"),)),
    _HandOver(*_POOL_OF_THREADS, "__init__", ((2, "initializer"),)),
    _HandOver(*_POOL_OF_THREADS, "apply_async", ((1, "func"), (4, "callback"), (5, "error_callback"))),
    _HandOver(*_POOL_OF_THREADS, "imap", ((1, "func"),)),
    _HandOver(*_POOL_OF_THREADS, "imap_unordered", ((1, "func"),)),
    _HandOver(*_POOL_OF_THREADS, "_map_async", ((1, "func"), (5, "callback"), (6, "error_callback"))),
)
_PROCESSES = (
    _HandOver("multiprocessing.process", "BaseProcess", "start", ()),
    _HandOver("concurrent.futures.process", "ProcessPoolExecutor", "submit", ()),
)
_OF_A_COROUTINE = "run_coroutine_threadsafe.<locals>.callback"
_SERVE_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")


def follow_threads(changes: Changes, around: Around, unseen: Unseen) -> None:
    """Let ``around`` wrap every function that this thread hands to another one, or one of those to a further one.

    Threads that existed before are followed where they belong to a pool of the standard library. ``unseen`` is told
    what nothing can follow: coroutines that are handed to another thread, and other processes.
    """
    follower = _Follower(changes, around, unseen)
    changes.undo_by(follower.end)
    follower.install()


class _Follower:
    """The replaced functions. ``_threads`` are those in which what runs is counted at the moment."""

    def __init__(self, changes: Changes, around: Around, unseen: Unseen) -> None:
        self._changes = changes
        self._around = around
        self._unseen = unseen
        self._threads = {threading.get_ident()}
        self._replaced: set[_HandOver | None] = set()
        self._has_ended = False

    def install(self) -> None:
        """Replace what hands over, in the modules that are imported by now."""
        if None not in self._replaced:
            self._replaced.add(None)
            self._changes.replace(threading.Thread, "start", self._starting(threading.Thread.start))
        for place in (*_HAND_OVERS, *_PROCESSES):
            if place.module in sys.modules and place not in self._replaced:
                self._replaced.add(place)
                module = sys.modules[place.module]
                owner = getattr(module, place.owner) if place.owner else module
                self._changes.replace(owner, place.name, self._handing_over(getattr(owner, place.name), place))

    def end(self) -> None:
        """Let what was handed over and has not run yet be counted no longer."""
        self._has_ended = True

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        counted = self._around(function)

        def run(*args: Any, **kwargs: Any) -> Any:
            thread = threading.get_ident()
            if thread in self._threads or self._has_ended:
                return function(*args, **kwargs)
            self._threads.add(thread)
            try:
                return counted(*args, **kwargs)
            finally:
                self._threads.discard(thread)

        return run

    def _starting(self, original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
        def start(thread: threading.Thread) -> None:
            if threading.get_ident() in self._threads:
                # A thread of a pool runs what others submit later, too: only what this thread submits is wrapped.
                if _serves_a_pool(thread):
                    self.install()  # its module may have been imported meanwhile
                else:
                    run = self._wrapped(thread.run)

                    # `run` is an attribute of the thread for one call; later readers find the method of its class.
                    def run_once() -> None:
                        vars(thread).pop("run", None)
                        run()

                    thread.run = run_once  # type: ignore[method-assign]
            original(thread)

        return start

    def _handing_over(self, original: Callable[..., Any], place: _HandOver) -> Callable[..., Any]:
        def hand_over(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() in self._threads:
                if place.name == "__init__":
                    vars(args[0]).setdefault("_state", "CLOSE")  # which __del__ reads, also where the run ends here
                if not place.functions:
                    self._unseen(f"{place.module.partition('.')[0]}::{place.name}")
                taken = list(args)
                for position, name in place.functions:
                    if position < len(taken):
                        taken[position] = self._followed(taken[position])
                    elif name in kwargs:
                        kwargs[name] = self._followed(kwargs[name])
                args = tuple(taken)
            return original(*args, **kwargs)

        return hand_over

    def _followed(self, function: Any) -> Any:
        if not callable(function):
            return function
        if getattr(function, "__qualname__", "") != _OF_A_COROUTINE:
            return self._wrapped(function)
        try:
            self._unseen("asyncio::run_coroutine_threadsafe")  # what it does later is no part of this function
        except BaseException:
            for cell in function.__closure__:
                if asyncio.iscoroutine(cell.cell_contents):
                    cell.cell_contents.close()  # nobody else does, and Python warns of that
            raise
        return function


def _serves_a_pool(thread: threading.Thread) -> bool:
    """Return whether a thread waits for what is handed to its pool, and may outlive the measurement."""
    return getattr(getattr(thread, "_target", None), "__module__", None) in _SERVE_POOLS
