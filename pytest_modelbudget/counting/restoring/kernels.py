"""Let operators run as those that they consist of, and restore the kernels that were chosen before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from pytest_modelbudget.counting.torch_private import (
    compiler_is_loaded,
    cudnn_enabled,
    eager_stance,
    mkldnn_enabled,
    set_cudnn_enabled,
    set_mkldnn_enabled,
)


@contextmanager
def unfused_kernels(backward: bool) -> Iterator[None]:
    """Switch off what hides operators: fused fast paths, compilation, and in training fused attention and recurrence.

    The fused backward kernels compute gradients that nobody asked for; decomposed, autograd asks for each.
    """
    undo: list[Callable[[], Any]] = []
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    undo.append(partial(torch.backends.mha.set_fastpath_enabled, fastpath))
    if backward:
        for get, put in _fused_training_flags():
            undo.append(partial(put, get()))
            put(False)
        cuda = torch.backends.cuda
        undo.append(partial(cuda.enable_math_sdp, cuda.math_sdp_enabled()))
        cuda.enable_math_sdp(True)  # the caller may have left a fused one alone
    cond = torch.cond
    torch.cond = _eager_cond
    undo.append(partial(setattr, torch, "cond", cond))
    try:
        with _eager_stance(), torch.backends.opt_einsum.flags(enabled=False):  # it is not installed everywhere
            yield
    finally:
        for step in reversed(undo):
            step()


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


@contextmanager
def _eager_stance() -> Iterator[None]:
    """Run compiled modules eagerly; torch.compile was never used in this process unless its machinery is loaded."""
    if not compiler_is_loaded():
        yield
        return
    with eager_stance():
        yield
