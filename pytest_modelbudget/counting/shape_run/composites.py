"""Composite operators, which only call others: those that are common are remembered as one.

Autograd decomposes composite operators before a dispatch mode sees them. Where no gradients are recorded a run can go
below autograd, and ``linear`` is one operator instead of four. The first time, what a composite runs is written down;
afterwards that is charged as if it had run.

This is a shortcut and nothing else: with :func:`without_composites` every shape run uses autograd, and counts the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from pytest_modelbudget.counting.operators.facts import Charge, OperatorFacts
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.shape_run.outcomes import AliasOfFirst, ArgumentAt, Outcome, tensors_in
from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved
from pytest_modelbudget.counting.shape_run.tensors import Spec, spec_of
from pytest_modelbudget.counting.torch_private import (
    CAN_RUN_BELOW_AUTOGRAD,
    AutoDispatchBelowAutograd,
    DispatchMode,
    ForceDispatchKeyGuard,
    attention_backends_enabled,
    is_any_autocast_enabled,
    local_dispatch_keys,
    storage_of,
)

_switched_on: ContextVar[bool] = ContextVar("composites", default=CAN_RUN_BELOW_AUTOGRAD)


def can_remember_composites() -> bool:
    """Return whether shape runs go below autograd, where composite operators reach the mode undecomposed."""
    return _switched_on.get()


@contextmanager
def without_composites() -> Iterator[None]:
    """Run every shape run inside with autograd, to compare the two, or where a new torch breaks the shortcut."""
    token = _switched_on.set(False)
    try:
        yield
    finally:
        _switched_on.reset(token)


def decomposes_unusually() -> bool:
    """Return whether a composite operator now calls other operators than usual."""
    return torch.is_inference_mode_enabled() or is_any_autocast_enabled()


class BelowAutograd:
    """Run what is inside below autograd. ``is_active`` says whether that is so now."""

    def __init__(self) -> None:
        self.is_active = False
        self._guards: list[Any] = []

    def enter(self, changes: Changes) -> None:
        """Go below autograd."""
        # With these keys a composite operator can be run later as if autograd were on.
        self._outside = local_dispatch_keys()
        changes.undo_by(self._leave)
        self._guards.append(AutoDispatchBelowAutograd())  # takes effect when made
        self.is_active = True

    def _leave(self) -> None:
        self.is_active = False
        while self._guards:
            self._guards.pop().__exit__(None, None, None)

    def run_with_autograd(self, run: DispatchMode, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator with autograd, so that the mode ``run`` sees what it calls."""
        self.is_active = False
        try:
            with ForceDispatchKeyGuard(*self._outside), run:
                return func(*args, **kwargs)
        finally:
            self.is_active = True


Flags = Callable[[Any], Any]


def _no_flags(_: Any) -> None:
    return None


def _attention_backends(_: Any) -> Any:
    return tuple([is_enabled() for is_enabled in attention_backends_enabled])


_FLAGS: dict[str, Flags] = {
    **dict.fromkeys(
        (
            "aten::batch_norm",
            "aten::conv1d",
            "aten::conv2d",
            "aten::conv3d",
            "aten::dropout",
            "aten::einsum",
            "aten::group_norm",
            "aten::layer_norm",
            "aten::max_pool2d",
            "aten::rms_norm",
            "aten::softmax",
        ),
        _no_flags,
    ),
    **dict.fromkeys(
        (
            "aten::chunk",
            "aten::contiguous",
            "aten::expand_as",
            "aten::flatten",
            "aten::reshape",
            "aten::to",
            "aten::type_as",
            "aten::unflatten",
        ),
        lambda args: args[0].requires_grad,  # and so does a view
    ),
    "aten::linear": lambda args: args[1].requires_grad,  # decides how batches are folded
    "aten::matmul": lambda args: (args[0].requires_grad, args[1].requires_grad),
    "aten::scaled_dot_product_attention": _attention_backends,
}
"""The composites that call the same operators for equal specs, arguments and flags, and what gives those flags."""


def flags_of(facts: OperatorFacts) -> Flags | None:
    """Return the function that gives the flags that a composite depends on; None where it is not to be remembered."""
    return None if facts.mutable_arguments else _FLAGS.get(facts.name)


class CompositeTrace:
    """What one call of a composite operator does: what it is charged for, and the tensors that it writes into."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.mutated: list[torch.Tensor] = []

    def outcome(self, out: Any, args: Any, kwargs: dict[str, Any]) -> Outcome | None:
        """Return the outcome of the call, or None where it left more behind than new shape tensors."""
        own = tensors_in(args, kwargs)
        for target in self.mutated:
            if not is_reserved(target) or any(target is tensor for tensor in own):
                return None
        result: list[Any] = []
        for leaf in out if isinstance(out, (tuple, list)) else (out,):
            part = _part_of_outcome(leaf, own, args)
            if part is None:
                return None
            result.append(part)
        whole = result if isinstance(out, list) else tuple(result) if isinstance(out, tuple) else result[0]
        return Outcome(whole, (), tuple(self.charges))


def _part_of_outcome(leaf: torch.Tensor, own: list[torch.Tensor], args: Any) -> ArgumentAt | AliasOfFirst | Spec | None:
    """Return what stands for a result in an outcome; None where an equal call could not repeat it."""
    position = next((index for index, tensor in enumerate(own) if tensor is leaf), None)
    if position is not None:
        return ArgumentAt(position)
    # A result with a graph of its own cannot be handed out once more.
    if leaf.requires_grad or type(leaf) is not torch.Tensor:
        return None
    spec, storage = spec_of(leaf), storage_of(leaf)
    shared = [tensor for tensor in own if storage_of(tensor) is storage]
    if shared:
        is_alias = shared[0] is args[0] and leaf.dtype is shared[0].dtype and not spec.bits
        return AliasOfFirst(spec) if is_alias else None
    return spec if is_reserved(leaf) else None
