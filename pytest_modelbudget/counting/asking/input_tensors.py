"""The tensors inside the inputs of a call: by their places, one by one, and replaced by others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.containers import attributes_in, items_in
from pytest_modelbudget.counting.modules.index import escaped
from pytest_modelbudget.counting.torch_private import keystr, tree_flatten_with_path, tree_map
from pytest_modelbudget.measurement import TensorSpec

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and the keyword inputs."""


def input_specs(inputs: Inputs | None) -> tuple[TensorSpec, ...]:
    """Return the shape and dtype of every input tensor, named by its place in the call."""
    if inputs is None:
        return ()
    positional, keyword = inputs
    given = [(f"args[{position}]", value) for position, value in enumerate(positional)]
    given += [(f"kwargs[{key!r}]", value) for key, value in keyword.items()]
    return tuple(
        TensorSpec(escaped(place), _sizes(tensor), str(tensor.dtype).removeprefix("torch."))
        for name, value in given
        for place, tensor in _tensors_by_place(name, value)
    )


def _tensors_by_place(name: str, value: Any) -> list[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        return [(name, value)]
    leaves = tree_flatten_with_path(value)[0]
    return [(name + keystr(path), leaf) for path, leaf in leaves if isinstance(leaf, torch.Tensor)]


def _sizes(tensor: torch.Tensor) -> tuple[int, ...]:
    """Return the shape of a tensor; a dimension whose size differs within a nested tensor is -1."""
    if not tensor.is_nested:
        return tuple(map(int, tensor.shape))
    parts = [tuple(part.shape) for part in tensor.unbind()]
    return (len(parts), *(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*parts, strict=True)))


def map_tensors(function: Callable[[torch.Tensor], Any], inputs: Inputs) -> Inputs:
    """Return inputs with every tensor, at any depth, replaced by what ``function`` returns for it."""

    def replaced(value: Any) -> Any:
        return function(value) if isinstance(value, torch.Tensor) else value

    def mapped(value: Any) -> Any:
        return function(value) if isinstance(value, torch.Tensor) else tree_map(replaced, value)

    positional, keyword = inputs
    return tuple(map(mapped, positional)), {key: mapped(value) for key, value in keyword.items()}


def tensors_of(value: Any) -> list[torch.Tensor]:
    """Return the tensors inside a value of any nesting, objects with attributes included, each once."""
    found: dict[int, torch.Tensor] = {}
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, torch.Tensor):
            found[id(item)] = item
        elif id(item) in seen or item is None or isinstance(item, (str, bytes, int, float, type, nn.Module)):
            continue
        else:
            held = items_in(item)
            pending.extend((attributes_in(item) or {}).values() if held is None else held)
        seen.add(id(item))
    return list(found.values())


def detached(inputs: Inputs) -> Inputs:
    """Return the inputs cut from any graph that they come from, so that the backward ends at them."""
    return map_tensors(lambda leaf: leaf.detach().requires_grad_(leaf.requires_grad), inputs)
