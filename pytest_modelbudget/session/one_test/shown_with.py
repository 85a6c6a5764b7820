"""Which exception carries which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def carries(raised: BaseException | None, error: BaseException) -> bool:
    """Tell whether ``error`` is ``raised``, or shown with it: as its cause, in its group, by a doctest.

    One that says the same will do: what runs a test several times, as hypothesis does, shows the last one.
    """
    return any(one is error or _says_the_same(one, error) for one in _shown_with(raised, set()))


def _says_the_same(one: BaseException, other: BaseException) -> bool:
    return type(one) is type(other) and str(one) == str(other)


def _shown_with(raised: Any, seen: set[int]) -> Iterator[BaseException]:
    if not isinstance(raised, BaseException) or id(raised) in seen:
        return
    seen.add(id(raised))
    yield raised
    wrapped = getattr(raised, "exc_info", None)  # doctest.UnexpectedException
    below = [raised.__cause__, raised.__context__, *(wrapped if isinstance(wrapped, tuple) else ())]
    for members in ("exceptions", "failures"):  # ExceptionGroup, pytest's MultipleDoctestFailures
        below += getattr(raised, members, None) or ()
    for one in below:
        yield from _shown_with(one, seen)
