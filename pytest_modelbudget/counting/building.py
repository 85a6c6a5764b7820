"""Build a model without its weights: a factory runs as usual, and every weight is a shape tensor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn import init

from pytest_modelbudget.counting.shapes import ShapeTensor


@contextmanager
def initializers_skipped() -> Iterator[None]:
    """Let the functions of ``torch.nn.init`` return shape tensors untouched; some of them loop until values fit."""
    originals = {name: value for name, value in vars(init).items() if name.endswith("_") and callable(value)}
    for name, function in originals.items():
        if not name.startswith("__"):
            setattr(init, name, _skipping(function))
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(init, name, function)


def _skipping(function: Callable[..., Any]) -> Callable[..., Any]:
    def initialize(*args: Any, **kwargs: Any) -> Any:
        tensor = args[0] if args else kwargs.get("tensor")
        return tensor if type(tensor) is ShapeTensor else function(*args, **kwargs)

    return initialize


def free_memory() -> int | None:
    """Return the bytes of memory that are free, or None where the system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
