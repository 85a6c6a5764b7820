"""The shapes of what modules return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import torch

from pytest_modelbudget.counting.containers import items_in
from pytest_modelbudget.counting.torch_private import DisableTorchFunction, sees_torch_functions

Shapes = tuple[tuple[int, ...], ...]

_DEEPEST = 8  # levels: an output may hold itself


def shapes_of_output(output: Any) -> Shapes:
    """Return the shapes of the tensors in what a module returned; symbolic sizes are -1, nested tensors have none."""
    if sees_torch_functions():
        with DisableTorchFunction():
            return tuple(_shapes(output))
    if isinstance(output, torch.Tensor) and not output.is_nested:
        sizes = (*output.shape,)
        if type(sum(sizes)) is int:  # one tensor, no symbolic size: by far the most common
            return (sizes,)
    return tuple(_shapes(output))


def _shapes(output: Any, level: int = 0) -> Iterator[tuple[int, ...]]:
    if isinstance(output, torch.Tensor):
        if not output.is_nested:
            yield tuple([size if type(size) is int else -1 for size in output.shape])
    elif isinstance(output, (tuple, list, dict)) and level < _DEEPEST:
        for part in items_in(output) or ():
            yield from _shapes(part, level + 1)


def unfinished_parts(output: Any, level: int = 0) -> Iterator[Any]:
    """Yield the parts of what a module returned that have yet to run, such as generators and coroutines."""
    if isinstance(output, torch.Tensor):
        return
    if isinstance(output, (Iterator, AsyncIterator, Awaitable)):
        yield output
    elif isinstance(output, (tuple, list, dict)) and level < _DEEPEST:
        for part in items_in(output) or ():
            yield from unfinished_parts(part, level + 1)


def name_of_unfinished(part: Any) -> str:
    """Return what stands among the unknown operators for a part that has yet to run."""
    return f"python::{type(part).__name__}"
