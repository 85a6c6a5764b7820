"""Guard what reads the data of a real tensor past the dispatcher, where no mode sees it.

Weights and real tensors that unknown values were written into have data too, and it is not theirs: it is stale, or was
never initialized. What asks for it must end the run, as it does on shape tensors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from pytest_modelbudget.counting.torch_private import dlpack_functions

READING = ("__array__", "__deepcopy__", "__dlpack__", "__reduce_ex__", "__repr__", "data_ptr", "numpy", "tolist")
EXPORTING = frozenset(("__array__", "__dlpack__", "data_ptr", "numpy", "storage", "untyped_storage"))
"""The methods after which others can read the data whenever they like."""
GUARDED = (*READING, "share_memory_", "storage", "untyped_storage")

Note = Callable[[torch.Tensor, str, bool], None]


class ValueGuards:
    """The methods of ``torch.Tensor`` that read data, each calling ``note`` first, while the guards are installed.

    ``note`` takes the tensor, what is called, and whether that lets others read later; it may end the run. Only while
    the guards are installed do they hold it.
    """

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def install(self, note: Note) -> None:
        """Put the guards in place, in the thread of the run."""
        if self._undo:
            return
        thread = threading.get_ident()
        for owner, name in (*((torch.Tensor, name) for name in GUARDED), *dlpack_functions):
            self._undo.append((owner, name, vars(owner).get(name)))
            setattr(owner, name, _guarded(getattr(owner, name), name, thread, note))

    def remove(self) -> None:
        """Put the methods back."""
        while self._undo:
            owner, name, original = self._undo.pop()
            if original is None:
                delattr(owner, name)  # it was inherited
            else:
                setattr(owner, name, original)


def _guarded(original: Callable[..., Any], name: str, thread: int, note: Note) -> Callable[..., Any]:
    exports = name in EXPORTING or "dlpack" in name

    def method(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == thread:
            note(self, name, exports)
        return original(self, *args, **kwargs)

    return method
