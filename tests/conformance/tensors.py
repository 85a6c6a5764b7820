"""Find the tensors in inputs and outputs of any nesting, and move them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """Yield every tensor in dicts, dataclasses, tuples and lists of any nesting."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_of(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from tensors_of(vars(value))


def mapped(f: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    """Return the same nesting with ``f`` of every tensor."""
    if isinstance(value, torch.Tensor):
        return f(value)
    if isinstance(value, dict):
        return type(value)((key, mapped(f, item)) for key, item in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(f, item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(mapped(f, item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{name: mapped(f, item) for name, item in vars(value).items()})
    return value
