"""Build a model without its weights: a factory runs as usual, and no weight has values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn import init

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved


def build_without_weights(changes: Changes, stop: Callable[[str], NoReturn]) -> None:
    """Let a factory build weights without values.

    The functions of ``torch.nn.init`` return tensors without values untouched; some of them loop until values fit.
    Tracing, scripting and exporting run where no dispatch mode sees them, so they call ``stop``.
    """
    for name, function in [*vars(init).items()]:
        if name.endswith("_") and not name.startswith("__") and callable(function):
            changes.replace(init, name, _leaving_reserved_memory(function))
    for place, names in ((torch.jit, ("script", "trace", "trace_module")), (torch.export, ("export",))):
        for name in names:
            changes.replace(place, name, _stopping(getattr(place, name), stop))


def _stopping(function: Callable[..., Any], stop: Callable[[str], NoReturn]) -> Callable[..., Any]:
    def convert(*args: Any, **kwargs: Any) -> Any:
        if isinstance(args[0] if args else None, nn.Module):
            stop(f"{function.__module__}.{function.__name__}()")
        return function(*args, **kwargs)  # a function, as in a module that the factory imports

    return convert


def _leaving_reserved_memory(function: Callable[..., Any]) -> Callable[..., Any]:
    def initialize(*args: Any, **kwargs: Any) -> Any:
        tensor = args[0] if args else kwargs.get("tensor")
        if isinstance(tensor, torch.Tensor) and is_reserved(tensor):
            return tensor
        if "trunc_normal" in function.__name__ and isinstance(tensor, torch.Tensor):
            with torch.no_grad():
                return tensor.normal_()  # random all the same, and drawn once
        return function(*args, **kwargs)

    return initialize
