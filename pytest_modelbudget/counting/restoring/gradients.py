"""Restore the gradients of tensors, whether they require any, and the attributes that Python code gave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import is_

import torch


@contextmanager
def restored_gradients(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Run with empty gradients; put back gradients, ``requires_grad``, attributes and the independence of leaves."""
    tensors = list(tensors)
    attributes = [(vars(tensor), vars(tensor).copy()) for tensor in tensors]
    before = [(tensor, tensor.grad, tensor.requires_grad) for tensor in tensors if tensor.is_leaf]
    for tensor, gradient, _ in before:
        if gradient is not None:
            tensor.grad = None
    try:
        yield
    finally:
        for now, own in attributes:
            if (now or own) and (len(now) != len(own) or not all(map(is_, now.values(), own.values()))):
                now.clear()
                now.update(own)
        for tensor, gradient, requires_grad in before:
            if not tensor.is_leaf:
                tensor.detach_()  # it was written into while gradients were recorded
            if tensor.grad is not gradient:
                tensor.grad = gradient
            if tensor.requires_grad is not requires_grad:
                tensor.requires_grad_(requires_grad)
