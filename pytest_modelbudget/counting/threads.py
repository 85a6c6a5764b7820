"""Follow the work that a forward hands to other threads, where no mode sees it by itself."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Around = Callable[[Callable[..., Any]], Callable[..., Any]]
_POOLS = (
    ("concurrent.futures.thread", "ThreadPoolExecutor", ("submit",)),
    ("multiprocessing.pool", "ThreadPool", ("apply_async", "imap", "imap_unordered", "_map_async")),
)


@contextmanager
def followed_threads(around: Around) -> Iterator[None]:
    """Let ``around`` wrap every function that this thread hands to another one, or one of those to a further one.

    Threads that existed before are followed where they belong to a pool of the standard library.
    """
    followed = {threading.get_ident()}

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        counted = around(function)

        def run(*args: Any, **kwargs: Any) -> Any:
            ident = threading.get_ident()
            known = ident in followed
            followed.add(ident)
            try:
                return counted(*args, **kwargs)
            finally:
                if not known:
                    followed.discard(ident)

        return run

    undo = [(threading.Thread, "start", threading.Thread.start)]
    threading.Thread.start = _starting(followed, wrapped)  # type: ignore[method-assign, assignment]
    for module, name, methods in _POOLS:
        if module in sys.modules:
            pool = getattr(sys.modules[module], name)
            for method in methods:
                undo.append((pool, method, vars(pool).get(method)))
                setattr(pool, method, _submitting(getattr(pool, method), followed, wrapped))
    try:
        yield
    finally:
        for owner, name, original in undo:
            if original is None:
                delattr(owner, name)  # it was inherited
            else:
                setattr(owner, name, original)


def _starting(followed: set[int], wrapped: Around) -> Callable[[threading.Thread], None]:
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if threading.get_ident() in followed and not _serves_a_pool(thread):
            run = wrapped(thread.run)

            def run_once() -> None:
                vars(thread).pop("run", None)
                run()

            thread.run = run_once  # type: ignore[method-assign]
        original(thread)

    return start


def _serves_a_pool(thread: threading.Thread) -> bool:
    """Return whether a thread waits for what is handed to its pool, and may outlive the measurement."""
    target = getattr(thread, "_target", None)
    return getattr(target, "__module__", None) in [module for module, _, _ in _POOLS]


def _submitting(original: Callable[..., Any], followed: set[int], wrapped: Around) -> Callable[..., Any]:
    def submit(pool: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() in followed:
            function = wrapped(function)
        return original(pool, function, *args, **kwargs)

    return submit
