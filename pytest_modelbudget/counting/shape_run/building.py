"""Build a model without its weights: a factory runs as usual, and every weight is a shape tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn import init

from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor


@contextmanager
def weightless(stop: Callable[[str], NoReturn]) -> Iterator[None]:
    """Let a factory build shape tensors for weights.

    The functions of ``torch.nn.init`` return shape tensors untouched; some of them loop until values fit. Tracing,
    scripting and exporting run where no dispatch mode sees them, so they call ``stop``.
    """
    originals: list[tuple[Any, str, Any]] = []
    for name, value in vars(init).items():
        if name.endswith("_") and not name.startswith("__") and callable(value):
            originals.append((init, name, value))
    for place, names in ((torch.jit, ("script", "trace", "trace_module")), (torch.export, ("export",))):
        originals.extend((place, name, getattr(place, name)) for name in names)
    for place, name, function in originals:
        setattr(place, name, _leaving_shape_tensors(function) if place is init else _stopping(function, stop))
    try:
        yield
    finally:
        for place, name, function in originals:
            setattr(place, name, function)


def _stopping(function: Callable[..., Any], stop: Callable[[str], NoReturn]) -> Callable[..., Any]:
    def convert(*args: Any, **kwargs: Any) -> Any:
        if isinstance(args[0] if args else None, nn.Module):
            stop(f"{function.__module__}.{function.__name__}()")
        return function(*args, **kwargs)  # a function, as in a module that the factory imports

    return convert


def _leaving_shape_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    def initialize(*args: Any, **kwargs: Any) -> Any:
        tensor = args[0] if args else kwargs.get("tensor")
        if type(tensor) is ShapeTensor:
            return tensor
        if "trunc_normal" in function.__name__ and isinstance(tensor, torch.Tensor):
            with torch.no_grad():
                return tensor.normal_()  # random all the same, and drawn once
        return function(*args, **kwargs)

    return initialize
