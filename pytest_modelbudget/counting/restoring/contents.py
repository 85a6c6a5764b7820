"""Restore what has a state of its own beside attributes: generators of random numbers, arrays, bytes, files, slots.

Nothing puts an iterator back: those are noted.
"""

from __future__ import annotations

import array
import io
import random
import sys
import types
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch

Undo = Callable[[], None]
MOST_BYTES = 1 << 26
"""The largest NumPy array that is copied, to be put back."""


class HeldIterator:
    """An iterator that nothing can put back: what is read of it once is gone."""

    def __init__(self, iterator: Any) -> None:
        self.iterator = iterator

    def __call__(self) -> None:
        """Leave the iterator where it is."""


def saved_content(value: Any) -> Undo | None:
    """Return what puts back the state of a generator, an array, bytes or a file; None for others, or too large ones."""
    kind = type(value)  # the __class__ that isinstance() asks for may be slow, or that of another
    if issubclass(kind, random.Random):
        return _of_python_generator(value)
    if issubclass(kind, torch.Generator):
        state = value.get_state()
        return partial(_set_state, value, state)
    if issubclass(kind, (bytearray, array.array)):
        return _of_sequence(value)
    if issubclass(kind, io.IOBase):
        return _of_file(value)
    step = getattr(kind, "__next__", None)
    if step is not None and not isinstance(step, types.FunctionType):  # whose state is in its attributes
        return HeldIterator(value)
    return _of_numpy(value, kind) if "numpy" in sys.modules else None


def _set_state(generator: torch.Generator, state: torch.Tensor) -> None:
    generator.set_state(state)


def _of_python_generator(generator: random.Random) -> Undo | None:
    try:
        state = generator.getstate()
    except NotImplementedError:
        return None  # the system's own source has no state
    return lambda: generator.setstate(state)


def _of_file(file: io.IOBase) -> Undo | None:
    """Return what puts back the position of a file that is only read."""
    if file.closed or not file.readable() or file.writable():
        return None
    if not file.seekable():
        return HeldIterator(file)
    try:
        position = file.tell()
    except OSError:
        return HeldIterator(file)  # which is being iterated
    return lambda: None if file.closed else _seek(file, position)


def _seek(file: io.IOBase, position: int) -> None:
    file.seek(position)


def _of_sequence(value: Any) -> Undo:
    copy = value[:]

    def undo() -> None:
        if value != copy:
            value[:] = copy

    return undo


def _of_numpy(value: Any, kind: type) -> Undo | None:
    numpy = sys.modules["numpy"]
    if issubclass(kind, numpy.random.Generator):
        value = value.bit_generator
        kind = type(value)
    if issubclass(kind, numpy.random.BitGenerator):
        state = value.state
        return lambda: setattr(value, "state", state)
    if issubclass(kind, numpy.random.RandomState):
        state = value.get_state()
        return lambda: value.set_state(state)
    return _of_array(value) if issubclass(kind, numpy.ndarray) else None


def _of_array(value: Any) -> Undo:
    """Return what puts back how an array is laid out, and what it holds unless that is too large."""
    layout = _layout_of(value)
    copy = value.copy() if value.flags.writeable and value.nbytes <= MOST_BYTES else None

    def undo() -> None:
        if _layout_of(value) != layout:
            _put_layout_back(value, layout)
        if copy is not None:
            value[...] = copy

    return undo


def _layout_of(value: Any) -> tuple[Any, ...]:
    return value.nbytes, value.dtype, value.shape, value.flags.writeable


def _put_layout_back(value: Any, layout: tuple[Any, ...]) -> None:
    nbytes, dtype, shape, writeable = layout
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there is no other way in place
        value.flags.writeable = writeable
        if value.nbytes != nbytes:
            value.resize(nbytes // value.itemsize, refcheck=False)
        value.dtype = dtype
        value.shape = shape


_slots: WeakKeyDictionary[type, list[str]] = WeakKeyDictionary()


def has_slots(kind: type) -> bool:
    """Return whether instances of a class have slots."""
    return bool(_slots_of(kind))


def saved_slots(value: Any) -> tuple[list[Any], Undo | None]:
    """Return what the slots of an object hold, and what puts it back; None where it has none."""
    names = _slots_of(type(value))
    if not names:
        return [], None
    before = {name: _read_slot(value, name) for name in names}

    def undo() -> None:
        for name, item in before.items():
            if _read_slot(value, name) is item:
                continue
            if item is _MISSING:
                object.__delattr__(value, name)
            else:
                object.__setattr__(value, name, item)  # also where the class is frozen

    return [item for item in before.values() if item is not _MISSING], undo


_MISSING = object()


def _read_slot(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return _MISSING


def _slots_of(kind: type) -> list[str]:
    names = _slots.get(kind)
    if names is None:
        names = _slots[kind] = [
            name for base in kind.__mro__ if "__slots__" in base.__dict__ for name in _names_of_slots(base)
        ]
    return names


def _names_of_slots(kind: type) -> list[str]:
    slots = kind.__dict__["__slots__"]
    names = [slots] if isinstance(slots, str) else list(slots)
    private = f"_{kind.__name__.lstrip('_')}"
    names = [f"{private}{name}" if name.startswith("__") and not name.endswith("__") else name for name in names]
    return [name for name in names if name not in ("__dict__", "__weakref__")]
