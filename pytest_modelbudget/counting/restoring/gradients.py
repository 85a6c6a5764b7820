"""Restore the gradients of tensors, whether they require any, and the attributes that Python code gave them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from operator import attrgetter, is_, methodcaller
from typing import Any

import torch

from pytest_modelbudget.counting.restoring.changes import Changes

REGISTERING_HOOKS = ("register_hook", "register_post_accumulate_grad_hook")
_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_attributes_of: Callable[[torch.Tensor], dict[str, Any]] = attrgetter("__dict__")
_values = methodcaller("values")
_gradient_of, _requires_grad, _is_leaf = attrgetter("grad"), attrgetter("requires_grad"), attrgetter("is_leaf")


def set_gradients_aside(changes: Changes, tensors: Iterable[torch.Tensor]) -> None:
    """Empty gradients; put them back, with ``requires_grad``, attributes and the independence of leaves."""
    tensors = list(tensors)
    attributes = list(map(_attributes_of, tensors))
    # Most weights have no attributes of their own: then no dict is copied.
    own_attributes = [now.copy() for now in attributes] if any(attributes) else [{}] * len(attributes)
    leaves = [tensor for tensor in tensors if tensor.is_leaf]
    gradients, required = [*map(_gradient_of, leaves)], [*map(_requires_grad, leaves)]

    def put_back() -> None:
        if (any(attributes) or any(own_attributes)) and not _hold_the_same(attributes, own_attributes):
            for now, own in zip(attributes, own_attributes, strict=True):
                now.clear()
                now.update(own)
        if not _are_as_before(leaves, gradients, required):
            for tensor, gradient, requires_grad in zip(leaves, gradients, required, strict=True):
                _put_gradient_back(tensor, gradient, requires_grad)

    changes.undo_by(put_back)
    for tensor, gradient in zip(leaves, gradients, strict=True):
        if gradient is not None:
            tensor.grad = None


def _hold_the_same(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> bool:
    """Return whether mappings have the same items, in the same order."""
    if [*map(len, now)] != [*map(len, before)] or [*chain.from_iterable(now)] != [*chain.from_iterable(before)]:
        return False
    values_now, values_before = chain.from_iterable(map(_values, now)), chain.from_iterable(map(_values, before))
    return all(map(is_, values_now, values_before))


def _are_as_before(leaves: list[torch.Tensor], gradients: list[Any], required: list[bool]) -> bool:
    """Return whether all still are leaves, have the same gradients, and require some or none as before."""
    if not all(map(_is_leaf, leaves)):
        return False  # whose gradients cannot be read without a warning
    return all(map(is_, map(_gradient_of, leaves), gradients)) and [*map(_requires_grad, leaves)] == required


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
        following = [function for function, _ in node.next_functions if function is not None and function not in seen]
        seen.update(following)
        nodes += following
    return leaves
