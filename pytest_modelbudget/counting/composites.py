"""Composite operators, which only call others: those that are common are remembered as one.

Autograd takes composite operators apart before a dispatch mode sees them. Where no gradients are recorded it can be
left out, and ``linear`` is one operator instead of four. The first time, what a composite runs is written down;
afterwards that is charged as if it had run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from pytest_modelbudget.counting.memo import Argument, Entry, tensors_in
from pytest_modelbudget.counting.plans import Charge
from pytest_modelbudget.counting.shapes import ShapeTensor

below_autograd: Callable[[], AbstractContextManager[Any]] = getattr(torch._C, "_AutoDispatchBelowAutograd", nullcontext)
"""Deliver composite operators whole, and record no gradients whatever the grad mode."""


def _requires_grad(args: Any) -> Any:
    return tuple([isinstance(arg, torch.Tensor) and arg.requires_grad for arg in args])


_ATTENTION_FLAGS = [
    getattr(torch._C, name)
    for name in (
        "_get_cudnn_sdp_enabled",
        "_get_flash_sdp_enabled",
        "_get_math_sdp_enabled",
        "_get_mem_efficient_sdp_enabled",
        "_get_overrideable_sdp_enabled",
    )
    if hasattr(torch._C, name)
]


def _attention_flags(_: Any) -> Any:
    return tuple([flag() for flag in _ATTENTION_FLAGS])


WHOLE: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            "aten::batch_norm",
            "aten::chunk",
            "aten::contiguous",
            "aten::conv1d",
            "aten::conv2d",
            "aten::conv3d",
            "aten::dropout",
            "aten::einsum",
            "aten::expand_as",
            "aten::flatten",
            "aten::group_norm",
            "aten::layer_norm",
            "aten::linear",
            "aten::max_pool2d",
            "aten::reshape",
            "aten::rms_norm",
            "aten::softmax",
            "aten::to",
            "aten::type_as",
            "aten::unflatten",
        ),
        lambda _: None,
    ),
    "aten::matmul": _requires_grad,  # decides how it folds batches
    "aten::scaled_dot_product_attention": _attention_flags,
}
"""The composites that read no values, and what they depend on beside the specs and arguments of the call."""


class Trace:
    """What one call of a composite operator does: ``charges`` are the operators it runs and their MACs."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.written: list[torch.Tensor] = []

    def add(self, inner: Trace) -> None:
        """Add what a composite does that this one calls."""
        self.charges.extend(inner.charges)
        self.written.extend(inner.written)

    def entry(self, out: Any, args: Any, kwargs: dict[str, Any]) -> Entry | None:
        """Return the call as one to remember, or None where it left more behind than new shape tensors."""
        own = tensors_in(args, kwargs)
        for target in self.written:
            if type(target) is not ShapeTensor or any(target is tensor for tensor in own):
                return None
        result: list[Any] = []
        for leaf in out if isinstance(out, (tuple, list)) else (out,):
            position = next((index for index, tensor in enumerate(own) if tensor is leaf), None)
            if position is None and type(leaf) is not ShapeTensor:
                return None
            result.append(leaf._spec if position is None else Argument(position))
        whole = result if isinstance(out, list) else tuple(result) if isinstance(out, tuple) else result[0]
        return Entry(whole, (), tuple(self.charges))
