"""Composite operators, which only call others: those that are common are remembered as one.

Autograd takes composite operators apart before a dispatch mode sees them. Where no gradients are recorded it can be
left out, and ``linear`` is one operator instead of four. The first time, what a composite runs is written down;
afterwards that is charged as if it had run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import forward_ad

from pytest_modelbudget.counting.operators.facts import Charge, Plan
from pytest_modelbudget.counting.shape_run.outcomes import Argument, Entry, tensors_in
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor

Depends = Callable[[Any], Any]

CAN_LEAVE_OUT = all(
    hasattr(torch._C, name)
    for name in (
        "_AutoDispatchBelowAutograd",
        "_ForceDispatchKeyGuard",
        "_dispatch_tls_local_exclude_set",
        "_dispatch_tls_local_include_set",
        "_is_any_autocast_enabled",
    )
)
"""Whether the installed torch can run without autograd."""


def takes_gradients() -> bool:
    """Return whether gradients or tangents are recorded now."""
    return torch.is_grad_enabled() or forward_ad._current_level >= 0


def changes_composites() -> bool:
    """Return whether a composite operator now runs other operators than usual."""
    return torch.is_inference_mode_enabled() or torch._C._is_any_autocast_enabled()


class BelowAutograd:
    """Run what is inside without autograd: composite operators arrive whole. ``on`` tells whether that is so now."""

    def __init__(self) -> None:
        self.on = False

    def __enter__(self) -> None:
        self._outside = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
        self._guard = torch._C._AutoDispatchBelowAutograd()  # takes effect when made
        self._guard.__enter__()
        self.on = True

    def __exit__(self, *exception: Any) -> None:
        self.on = False
        self._guard.__exit__(*exception)
        del self._guard

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Run what is inside as if it were outside."""
        self.on = False
        try:
            with torch._C._ForceDispatchKeyGuard(*self._outside):
                yield
        finally:
            self.on = True


def _attention_flags(_: Any) -> Any:
    return tuple([flag() for flag in _ATTENTION_FLAGS])


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

_COMMON: dict[str, Depends] = {
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
        lambda _: None,
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
    "aten::scaled_dot_product_attention": _attention_flags,
}
"""Composites whose course no value decides, and the flags that do beside the specs and arguments of the call."""


def depends(plan: Plan) -> Depends | None:
    """Return what tells the flags that a composite depends on; None where it is not to be remembered."""
    return None if plan.writes else _COMMON.get(plan.name)


class Trace:
    """What one call of a composite operator does: what it is charged for, and the tensors that it writes into."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.written: list[torch.Tensor] = []

    def entry(self, out: Any, args: Any, kwargs: dict[str, Any]) -> Entry | None:
        """Return the call as one to remember, or None where it left more behind than new shape tensors."""
        own = tensors_in(args, kwargs)
        for target in self.written:
            if type(target) is not ShapeTensor or any(target is tensor for tensor in own):
                return None
        result: list[Any] = []
        for leaf in out if isinstance(out, (tuple, list)) else (out,):
            position = next((index for index, tensor in enumerate(own) if tensor is leaf), None)
            if position is None and (type(leaf) is not ShapeTensor or leaf.requires_grad):
                return None
            result.append(leaf._spec if position is None else Argument(position))
        whole = result if isinstance(out, list) else tuple(result) if isinstance(out, tuple) else result[0]
        return Entry(whole, (), tuple(self.charges))
