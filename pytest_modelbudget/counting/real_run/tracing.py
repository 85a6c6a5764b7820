"""Count beside ``torch.jit.trace``, to which sizes are tensors and what is computed with them a part of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_modelbudget.counting.torch_private import set_tracing_state, tracing_state


@contextmanager
def untraced() -> Iterator[None]:
    """Keep what runs inside out of the trace that is being recorded, if there is one."""
    state = tracing_state()
    if not state:
        yield
        return
    set_tracing_state(None)
    try:
        yield
    finally:
        set_tracing_state(state)
