"""Count while ``torch.jit.trace`` runs: sizes are tensors then, and whatever is computed with them is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from pytest_modelbudget.counting.torch_private import set_tracing_state, tracing_state

_NO_TRACE: AbstractContextManager[None] = nullcontext()


def untraced() -> AbstractContextManager[None]:
    """Run what is inside without recording it, where a model is traced."""
    return _NO_TRACE if tracing_state() is None else _paused()


@contextmanager
def _paused() -> Iterator[None]:
    state = tracing_state()
    set_tracing_state(None)
    try:
        yield
    finally:
        set_tracing_state(state)
