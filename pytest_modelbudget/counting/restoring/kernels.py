"""Let operators run as those that they consist of, and restore the kernels that were chosen before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.backends import opt_einsum

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.torch_private import (
    compiler_is_loaded,
    cudnn_enabled,
    eager_stance,
    mkldnn_enabled,
    set_cudnn_enabled,
    set_mkldnn_enabled,
)


def unfuse_kernels(changes: Changes, backward: bool) -> None:
    """Switch off what hides operators: fused fast paths, compilation, and in training fused attention and recurrence.

    The fused backward kernels compute gradients that nobody asked for; decomposed, autograd asks for each.
    """
    _switch(changes, torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled, False)
    if backward:
        for get, put in _fused_training_flags():
            _switch(changes, get, put, False)
        cuda = torch.backends.cuda
        _switch(changes, cuda.math_sdp_enabled, cuda.enable_math_sdp, True)  # which the caller may have switched off
    switch_opt_einsum_off(changes)
    changes.replace(torch, "cond", _eager_cond)
    if compiler_is_loaded():  # otherwise torch.compile was never used in this process
        changes.enter(eager_stance())


def switch_opt_einsum_off(changes: Changes) -> None:
    """Contract from left to right: the library that finds a better order is not installed everywhere."""
    _switch(changes, lambda: opt_einsum.enabled, partial(setattr, opt_einsum, "enabled"), False)


def _switch(changes: Changes, get: Callable[[], bool], put: Callable[[bool], Any], value: bool) -> None:
    changes.undo_by(partial(put, get()))
    put(value)


def _eager_cond(pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
    """Call the branch itself: torch's own would compile it, and uncompiled it loses the gradients of closures."""
    return (true_fn if bool(pred) else false_fn)(*operands)


def _fused_training_flags() -> list[tuple[Callable[[], bool], Callable[[bool], Any]]]:
    cuda = torch.backends.cuda
    flags: list[tuple[Callable[[], bool], Callable[[bool], Any]]] = [
        (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
        (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
        (cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
        (mkldnn_enabled, set_mkldnn_enabled),
        (cudnn_enabled, set_cudnn_enabled),
    ]
    return flags
