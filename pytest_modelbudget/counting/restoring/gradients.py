"""Restore the gradients of tensors, whether they require any, and the attributes that Python code gave them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from operator import attrgetter, is_
from typing import Any

import torch

REGISTERING_HOOKS = ("register_hook", "register_post_accumulate_grad_hook")
_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_attributes_of: Callable[[torch.Tensor], dict[str, Any]] = attrgetter("__dict__")
_gradient_of: Callable[[torch.Tensor], tuple[Any, bool]] = attrgetter("grad", "requires_grad")
_is_leaf = attrgetter("is_leaf")


@contextmanager
def restored_gradients(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Run with empty gradients; put back gradients, ``requires_grad``, attributes and the independence of leaves."""
    tensors = list(tensors)
    attributes = list(map(_attributes_of, tensors))
    own_attributes = [now.copy() if now else {} for now in attributes] if any(attributes) else []
    leaves = [tensor for tensor in tensors if tensor.is_leaf]
    before = list(map(_gradient_of, leaves))
    for tensor, (gradient, _) in zip(leaves, before, strict=True):
        if gradient is not None:
            tensor.grad = None
    try:
        yield
    finally:
        if any(attributes) or own_attributes:
            for now, own in zip(attributes, own_attributes or repeat({}), strict=False):
                _put_back(now, own)
        if not _are_as_before(leaves, before):
            for tensor, (gradient, requires_grad) in zip(leaves, before, strict=True):
                _put_gradient_back(tensor, gradient, requires_grad)


def _are_as_before(leaves: list[torch.Tensor], before: list[tuple[Any, bool]]) -> bool:
    """Return whether all still are leaves, have the same gradients, and require some or none as before."""
    if not all(map(_is_leaf, leaves)):
        return False
    now = chain.from_iterable(map(_gradient_of, leaves))
    return all(map(is_, now, chain.from_iterable(before)))


def _put_gradient_back(tensor: torch.Tensor, gradient: torch.Tensor | None, requires_grad: bool) -> None:
    if not tensor.is_leaf:
        tensor.detach_()  # it was written into while gradients were recorded
    if tensor.grad is not gradient:
        tensor.grad = gradient
    if tensor.requires_grad is not requires_grad:
        tensor.requires_grad_(requires_grad)


class GradientHooks:
    """The hooks on the gradients of tensors, saved before the run first registers one of its own."""

    def __init__(self) -> None:
        self._saved: dict[int, tuple[torch.Tensor, list[tuple[str, Any, Any]]]] = {}

    def save(self, tensor: torch.Tensor) -> None:
        """Save the hooks of a tensor, unless that was done before."""
        if id(tensor) not in self._saved:
            hooks = [(name, getattr(tensor, name)) for name in _HOOKS]
            self._saved[id(tensor)] = tensor, [(name, own, own and own.copy()) for name, own in hooks]

    def restore(self) -> None:
        """Put the hooks back."""
        for tensor, hooks in self._saved.values():
            for name, own, before in hooks:
                if before:
                    own.clear()
                    own.update(before)
                else:
                    setattr(tensor, name, None)
        self._saved.clear()


def leaves_of(outputs: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return the leaves that a backward pass from ``outputs`` gives gradients to, whoever holds them."""
    nodes = [output.grad_fn for output in outputs if output.grad_fn is not None]
    leaves = [output for output in outputs if output.grad_fn is None]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        leaf = getattr(node, "variable", None)  # of the node that accumulates the gradient of a leaf
        if isinstance(leaf, torch.Tensor):
            leaves.append(leaf)
        following = [one for one, _ in node.next_functions if one is not None and one not in seen]
        seen.update(following)
        nodes += following
    return leaves


def _put_back(now: dict[str, Any], own: dict[str, Any]) -> None:
    if len(now) != len(own) or not all(map(is_, now.values(), own.values())):
        now.clear()
        now.update(own)
