"""Guard what reads or writes the data of a real tensor past the dispatcher, where no mode sees it.

Real tensors that unknown values were written into have data that is stale. What asks for it must end the run, as what
asks for reserved memory does, which torch itself refuses for the most part. And what is handed to others, such as NumPy
arrays, may be written there: it has to be copied before, to be put back.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, NoReturn

import torch

from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.gradients import REGISTERING_HOOKS, GradientHooks
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved
from pytest_modelbudget.counting.torch_private import (
    DisableTorchDispatch,
    data_of,
    dlpack_functions,
    set_data_of,
    sharing_methods,
    swapping_functions,
    unseen_by_function_modes,
)

READING = ("__array__", "__deepcopy__", "__dlpack__", "__reduce_ex__", "__repr__", "data_ptr", "numpy", "tolist")
EXPORTING = frozenset(("__array__", "__dlpack__", "data_ptr", "numpy", "storage", "untyped_storage"))
"""The methods after which code outside of torch can read and write the data at any time."""
WRITING = ("apply_", "map2_", "map_")
"""The methods that call a Python function for every element, and write what it returns."""
SWAPPED = "swap_tensors"
"""What puts one tensor in the place of another."""
ASSIGNED = "data"
"""The attribute that gives a tensor the data of another when it is assigned."""
GUARDED = (*READING, *WRITING, *REGISTERING_HOOKS, ASSIGNED, "share_memory_", "storage", "untyped_storage")
_GUARDED_PLACES = (*((torch.Tensor, name) for name in GUARDED), *dlpack_functions)
CONVERTING = ("__bool__", "__complex__", "__float__", "__index__", "__int__")
"""The methods that constructors call on the tensors in the lists that they are given, with every mode disabled."""

READERS = ((torch, "tensor_split"), (torch.Tensor, "tensor_split"), (torch.jit.ScriptFunction, "__call__"))
"""What may read the memory of the arguments after its first."""

Note = Callable[[torch.Tensor, str, bool], None]
Stop = Callable[[str], NoReturn]


def guard_values(changes: Changes, note: Note) -> None:
    """Let what reads the data of tensors past the dispatcher call ``note`` first, in this thread.

    ``note`` takes the tensor, what is called, and whether that writes, or lets others read and write later; it may end
    the run. It is also told of hooks that are registered.
    """
    _guard_data(changes, note)
    _replace(changes, [(torch.Tensor, name) for name in CONVERTING], note, _guarded)
    _replace(changes, READERS, note, _guarded_reader)
    _replace(changes, swapping_functions, note, _guarded_swap)


def _guard_data(changes: Changes, note: Note) -> None:
    _replace(changes, _GUARDED_PLACES, note, _guarded)
    _replace(changes, sharing_methods, note, _unseen)


def _replace(changes: Changes, places: Iterable[tuple[Any, str]], note: Note, guarded: Callable[..., Any]) -> None:
    thread = threading.get_ident()
    for owner, name in places:
        changes.replace(owner, name, guarded(getattr(owner, name), name, thread, note))


def note_exports(changes: Changes, storages: StorageSnapshot, hooks: GradientHooks) -> None:
    """Save every tensor that is to be written past the dispatcher, or whose memory is handed out or exchanged.

    ``hooks`` saves those of tensors that are to have another one.
    """

    def note_access(tensor: torch.Tensor, name: str, exports: bool) -> None:
        if name in REGISTERING_HOOKS:
            hooks.save(tensor)
        elif name == ASSIGNED:
            storages.note_exchange(tensor)
        elif exports:
            storages.save_before_write(tensor)

    _guard_data(changes, note_access)


def _guarded(original: Any, name: str, thread: int, note: Note) -> Any:
    if name == ASSIGNED:
        return _guarded_assignment(name, thread, note)
    if name == "numpy":
        return _guarded_below_dispatch(original, name, thread, note)
    exports = name in EXPORTING or name in WRITING or "dlpack" in name

    def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == thread:
            # torch's own copy would read memory that is only reserved.
            if name == "__deepcopy__" and is_reserved(self) and type(self) in PLAIN_TYPES:
                return _deep_copy(self, *args)
            # Saving a tensor runs operators of its own, which no mode is to see.
            with DisableTorchDispatch(), unseen_by_function_modes():
                note(self, name, exports)
        return original(self, *args, **kwargs)

    return method


def _deep_copy(tensor: torch.Tensor, memo: dict[int, Any]) -> Any:
    """Return a deep copy by an operator that the run answers; torch's own would allocate what it copies."""
    if id(tensor) in memo:
        return memo[id(tensor)]
    if not tensor.is_leaf:
        raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support deepcopy")  # as torch
    with torch.no_grad():
        twin = tensor.detach().clone()
    kind: Any = type(tensor)
    if kind is torch.Tensor:
        twin.requires_grad_(tensor.requires_grad)
    else:
        twin = kind(twin, requires_grad=tensor.requires_grad)
    twin.__dict__.update(tensor.__dict__)
    memo[id(tensor)] = twin
    return twin


def _guarded_assignment(name: str, thread: int, note: Note) -> property:
    """Guard the attribute that gives a tensor the data of another."""

    def assign(self: torch.Tensor, data: torch.Tensor) -> None:
        if threading.get_ident() == thread:
            with DisableTorchDispatch(), unseen_by_function_modes():
                note(self, name, False)
        set_data_of(self, data)

    return property(data_of, assign)


def _guarded_below_dispatch(original: Callable[..., Any], name: str, thread: int, note: Note) -> Callable[..., Any]:
    """Guard a method that takes an alias of the tensor, which would have no data in a mode."""

    def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread or type(self) not in PLAIN_TYPES:
            return original(self, *args, **kwargs)
        with DisableTorchDispatch(), unseen_by_function_modes():
            note(self, name, True)
            return original(self, *args, **kwargs)

    return method


def _unseen(original: Callable[..., Any], _name: str, thread: int, _note: Note) -> Callable[..., Any]:
    """Run a method that copies data to memory which it then exchanges with the old: no run may hold that memory."""

    def method(*args: Any, **kwargs: Any) -> Any:
        with DisableTorchDispatch() if threading.get_ident() == thread else nullcontext():
            return original(*args, **kwargs)

    return method


def _guarded_swap(original: Callable[..., Any], _name: str, thread: int, note: Note) -> Callable[..., Any]:
    def swap(first: torch.Tensor, second: torch.Tensor) -> Any:
        if threading.get_ident() == thread:
            note(first, SWAPPED, False)
        return original(first, second)

    return swap


def _guarded_reader(original: Callable[..., Any], name: str, thread: int, note: Note) -> Callable[..., Any]:
    def read(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == thread and (name != "__call__" or _reads_memory(args[0])):
            with DisableTorchDispatch(), unseen_by_function_modes():
                for given in (*args[1:], *kwargs.values()):
                    for value in given if isinstance(given, (list, tuple)) else (given,):
                        if type(value) in PLAIN_TYPES:
                            note(value, name, False)
        return original(*args, **kwargs)

    return read


def _reads_memory(function: torch.jit.ScriptFunction[Any, Any]) -> bool:
    """Return whether a scripted function makes a list or a text of a tensor, which reads its memory."""
    return re.search("::(tolist|format|str|Print|tensor_split)\\b", str(function.inlined_graph)) is not None
