"""Restore the state of the process: random numbers, modes, the default dtype, and what torch is set to."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pytest_modelbudget.counting.restoring.settings import put_settings_back, read_settings


@contextmanager
def restored_process_state() -> Iterator[None]:
    """Restore random numbers, modes, the default dtype and the autocast cache; collect no garbage meanwhile.

    Without garbage collection the cycles that a run leaves behind are still young when it ends, and quick to find.
    """
    python, numpy = random.getstate(), sys.modules.get("numpy")
    numpy_state = numpy.random.get_state(legacy=False) if numpy else None
    drawn = torch.get_rng_state()
    drawn_on = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    dtype, collecting = torch.get_default_dtype(), gc.isenabled()
    settings = read_settings()
    gc.disable()
    torch.clear_autocast_cache()
    try:
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        torch.set_rng_state(drawn)
        if drawn_on:
            torch.cuda.set_rng_state_all(drawn_on)
        torch.clear_autocast_cache()
        random.setstate(python)
        if numpy and numpy_state is not None:
            numpy.random.set_state(numpy_state)
        if torch.get_default_dtype() is not dtype:
            torch.set_default_dtype(dtype)
        put_settings_back(settings)
        if collecting:
            gc.enable()
