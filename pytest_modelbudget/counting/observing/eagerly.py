"""Compiled models run eagerly while they are observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.torch_private import HAS_STANCE, compiler_is_loaded, eager_stance


def run_compiled_code_eagerly(changes: Changes) -> None:
    """Run compiled code eagerly; under a dispatch mode it would not compile, nor ever compile again.

    The machinery takes a second to import, so where it is not loaded, the first ``torch.compile`` sets the stance.
    Before torch 2.6, which has none, it is loaded: ``torch.export`` would trace what follows the calls of modules.
    """
    if compiler_is_loaded() or not HAS_STANCE:
        changes.enter(eager_stance())
        return
    original: Callable[..., Any] = torch.compile

    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compile = original
        changes.enter(eager_stance())
        return original(*args, **kwargs)

    changes.replace(torch, "compile", compile_eagerly)
