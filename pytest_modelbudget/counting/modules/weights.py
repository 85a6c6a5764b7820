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
_QUANTIZED = frozenset((torch.qint8, torch.quint8, torch.qint32, torch.quint4x2, torch.quint2x4))
_PER_CHANNEL = (torch.per_channel_affine, torch.per_channel_affine_float_qparams)


def is_plain(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has one storage, and nothing else."""
    return type(tensor) in PLAIN_TYPES and tensor.layout is torch.strided and tensor.dtype not in _QUANTIZED


def new_bytes(plain: list[torch.Tensor], known: set[int]) -> list[int]:
    """Return for each plain tensor the bytes of its storage, or 0 where that is ``known`` by then.

    Whoever asks keeps the tensors alive meanwhile. All at once, since every weight of every model comes here.
    """
    storages = [*map(storage_of, plain)]
    identities = [*map(storage_identity, storages)]
    sizes = [*map(torch.UntypedStorage.nbytes, storages)]
    new = set(identities)
    if len(new) < len(identities) or not known.isdisjoint(new):
        seen = known.copy()
        for place, identity in enumerate(identities):
            sizes[place] = 0 if identity in seen else sizes[place]
            seen.add(identity)
    known |= new
    return sizes


def new_bytes_of_any(tensor: torch.Tensor, known: set[int]) -> int:
    """Return the bytes behind a tensor of any kind whose storages are not ``known`` yet."""
    if tensor.layout is mkldnn_layout:  # it has no storage that anybody could share
        return tensor.numel() * tensor.element_size()
    return sum(new_bytes([*plain_parts(tensor)], known))


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
