"""The state of the process: random numbers, modes, the default dtype, and what torch is set to."""

from __future__ import annotations

import gc
import random
import sys
from functools import partial

import torch

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.settings import put_settings_back, read_settings


def keep_process_state(changes: Changes) -> None:
    """Put back random numbers, modes, the default dtype and the autocast cache; collect no garbage meanwhile.

    Without garbage collection the cycles that a run leaves behind are still young when it ends, and quick to find.
    """
    if gc.isenabled():
        changes.undo_by(gc.enable)
        gc.disable()
    changes.undo_by(partial(put_settings_back, read_settings()))
    changes.undo_by(partial(_put_default_dtype_back, torch.get_default_dtype()))
    numpy = sys.modules.get("numpy")
    if numpy:
        changes.undo_by(partial(numpy.random.set_state, numpy.random.get_state(legacy=False)))
    changes.undo_by(partial(random.setstate, random.getstate()))
    changes.undo_by(torch.clear_autocast_cache)
    torch.clear_autocast_cache()
    if torch.cuda.is_initialized():
        changes.undo_by(partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    changes.undo_by(partial(torch.set_rng_state, torch.get_rng_state()))
    keep_grad_mode(changes)


def keep_grad_mode(changes: Changes) -> None:
    """Put back whether gradients are recorded."""
    changes.undo_by(partial(torch.set_grad_enabled, torch.is_grad_enabled()))


def _put_default_dtype_back(dtype: torch.dtype) -> None:
    if torch.get_default_dtype() is not dtype:
        torch.set_default_dtype(dtype)
