"""What weights are in memory: the plain tensors behind parameters, buffers, packed objects and constants of graphs."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.modules.graphs import weights_in_graph
from pytest_modelbudget.counting.operators.packed import contents, name_of
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.torch_private import (
    coo_indices,
    coo_values,
    mkldnn_layout,
    storage_identity,
    storage_of,
)

_BESIDE = ("SCB", "quant_state")
"""What parameters of bitsandbytes keep beside packed elements: scales, and perhaps the shape that they stand for."""
_PER_CHANNEL = (torch.per_channel_affine, torch.per_channel_affine_float_qparams)


class Storages:
    """The bytes of distinct storages, which tensors may share. Whoever asks keeps the tensors alive meanwhile."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def new_bytes(self, tensor: torch.Tensor) -> int:
        """Return the bytes behind a tensor of any kind that no earlier one has."""
        if type(tensor) in PLAIN_TYPES and tensor.layout is torch.strided and not tensor.is_quantized:
            return self._new_bytes(tensor)
        return sum(map(self._new_bytes, plain_parts(tensor)))

    def _new_bytes(self, plain: torch.Tensor) -> int:
        if plain.layout is mkldnn_layout:  # it has no storage that anybody could share
            return plain.numel() * plain.element_size()
        storage = storage_of(plain)
        identity = storage_identity(storage)
        if identity in self._known:
            return 0
        self._known.add(identity)
        return storage.nbytes()


def plain_parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the plain tensors that a tensor of any kind consists of."""
    kind = type(tensor)
    if kind not in PLAIN_TYPES and hasattr(kind, "__tensor_flatten__"):
        for part in _wrapped_by(tensor):
            yield from plain_parts(part)
    elif tensor.layout is torch.sparse_coo:
        yield from (coo_indices(tensor), coo_values(tensor))
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    else:
        yield tensor
        if tensor.is_quantized and tensor.qscheme() in _PER_CHANNEL:
            yield from (tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points())
        if kind not in PLAIN_TYPES:
            yield from _tensors_among({name: getattr(tensor, name, None) for name in _BESIDE})


def logical_size(tensor: torch.Tensor) -> int:
    """Return how many elements a weight has: unpacked where they are packed, and those of this rank's shard."""
    if hasattr(tensor, "device_mesh"):  # of a DTensor
        return sum(map(logical_size, _wrapped_by(tensor)))
    packed = getattr(tensor, "quant_state", None)
    return prod(getattr(packed, "shape", tensor.shape))


def _wrapped_by(tensor: Any) -> list[torch.Tensor]:
    """Return the tensors that a wrapper says it consists of; some name other objects too."""
    inner = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
    return [part for part in inner if isinstance(part, torch.Tensor)]


def _tensors_among(attributes: dict[str, Any], depth: int = 2) -> Iterator[torch.Tensor]:
    """Yield the tensors among attributes, and in the objects there: the scales of a packed parameter."""
    for value in attributes.values():
        if isinstance(value, torch.Tensor):
            yield from plain_parts(value)
        elif depth and not isinstance(value, (nn.Module, type)) and isinstance(getattr(value, "__dict__", None), dict):
            yield from _tensors_among(value.__dict__, depth - 1)


def packed_weights(module: nn.Module) -> Iterator[tuple[str, str, list[torch.Tensor] | None]]:
    """Yield the weights that a module holds in no parameter: packed objects, and the constants of a frozen graph.

    Each with the path of the module that holds it, the name of its kind, and the tensors in it, or None where it does
    not open.
    """
    if isinstance(module, torch.jit.ScriptModule):
        yield from weights_in_graph(module)
    else:
        held = [value for value in vars(module).values() if type(value) is torch.ScriptObject]
        yield from [("", name_of(value), contents(value)) for value in held]
