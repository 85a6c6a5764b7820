"""Compiled code while it is observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from pytest_modelbudget.counting.torch_private import compiler_is_loaded


@contextmanager
def compiled_code_run_eagerly(stack: ExitStack) -> Iterator[None]:
    """Run compiled code eagerly; under a dispatch mode it would not compile, nor ever compile again.

    The machinery takes a second to import, so where it is not loaded, the first ``torch.compile`` sets the stance.
    """
    if not hasattr(torch.compiler, "set_stance"):
        yield
        return
    if compiler_is_loaded():
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    original: Callable[..., Any] = torch.compile

    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compile = original
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        return original(*args, **kwargs)

    torch.compile = compile_eagerly
    try:
        yield
    finally:
        torch.compile = original
