"""Weights on other devices: a run has one device, the CPU, and counts are the same on every device.

So a model on CUDA or on meta is run with weights without values in the place of its own, which are not touched. What
differs from a real run: ``device`` of weights and activations, and autocast of another device than the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from pytest_modelbudget.counting.modules.index import ModuleIndex
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.shape_run.tensors import Spec, intern, spec_of
from pytest_modelbudget.counting.torch_private import own_buffers, own_parameters, storage_identity, storage_of


def replace_weights_elsewhere(changes: Changes, index: ModuleIndex, new_tensor: Callable[[Spec], torch.Tensor]) -> None:
    """Replace the weights that are not on the CPU; those that share a storage still do."""
    elsewhere = [tensor for tensor in (*index.parameters, *index.buffers) if tensor.device != torch.device("cpu")]
    elsewhere = [tensor for tensor in elsewhere if type(tensor) in PLAIN_TYPES and tensor.layout is torch.strided]
    twins = _twins(elsewhere, new_tensor)
    for node in index.nodes:
        for table in (own_parameters(node.module), own_buffers(node.module)):
            for name, tensor in [*table.items()] if table else ():
                if id(tensor) in twins:
                    changes.undo_by(partial(table.__setitem__, name, tensor))
                    table[name] = twins[id(tensor)]


def _twins(tensors: list[torch.Tensor], new_tensor: Callable[[Spec], torch.Tensor]) -> dict[int, torch.Tensor]:
    """Return what stands for each tensor, by its identity: the same view of a storage of the same size."""
    found, memory = {}, dict[int, torch.Tensor]()
    for tensor in tensors:
        spec, storage = spec_of(tensor), storage_of(tensor)
        whole = intern((storage.nbytes() // spec.dtype.itemsize,), (1,), 0, spec.dtype)
        base = memory.setdefault(storage_identity(storage), new_tensor(whole))
        if base.dtype is not spec.dtype:  # views of one storage as two dtypes
            base = new_tensor(whole)
        kind: Any = type(tensor)
        twin = torch.as_strided(base, spec.shape, spec.stride, spec.offset)
        found[id(tensor)] = twin = twin if kind is torch.Tensor else kind(twin)
        twin.__dict__.update(tensor.__dict__)
        twin.requires_grad_(tensor.requires_grad)
    return found
