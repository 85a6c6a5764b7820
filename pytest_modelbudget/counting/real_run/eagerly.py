"""Compiled models run eagerly while they are observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from pytest_modelbudget.counting.torch_private import compiler_is_loaded, eager_stance


@contextmanager
def compiled_code_run_eagerly(stack: ExitStack) -> Iterator[None]:
    """Run compiled code eagerly; under a dispatch mode it would not compile, nor ever compile again.

    The machinery takes a second to import, so where it is not loaded, the first ``torch.compile`` sets the stance.
    """
    if compiler_is_loaded():
        with eager_stance():
            yield
        return
    original: Callable[..., Any] = torch.compile

    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compile = original
        stack.enter_context(eager_stance())
        return original(*args, **kwargs)

    torch.compile = compile_eagerly
    try:
        yield
    finally:
        torch.compile = original
