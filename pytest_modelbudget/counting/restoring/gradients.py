"""Restore the gradients of tensors, and whether they require any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def restored_gradients(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Run with empty gradients, and put back gradients, ``requires_grad`` and the independence of leaves."""
    before = [(tensor, tensor.grad, tensor.requires_grad) for tensor in tensors if tensor.is_leaf]
    for tensor, gradient, _ in before:
        if gradient is not None:
            tensor.grad = None
    try:
        yield
    finally:
        for tensor, gradient, requires_grad in before:
            if not tensor.is_leaf:
                tensor.detach_()  # it was written into while gradients were recorded
            if tensor.grad is not gradient:
                tensor.grad = gradient
            if tensor.requires_grad is not requires_grad:
                tensor.requires_grad_(requires_grad)
