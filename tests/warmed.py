"""What the server of ``warm.py`` imports before it forks: torch, the plugins of pytest, and the package.

Pytest itself imports the plugins, because it rewrites their assertions, and complains of those that are there already.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import pkgutil
from pathlib import Path

import pytest

NOWHERE = ["-c", os.devnull, "--rootdir", str(Path(__file__).parent), "--noconftest", "--markers"]
LEFT_OUT = [f"-pno:{plugin}" for plugin in ("faulthandler", "cacheprovider", "hypothesispytest", "anyio")]


def import_everything() -> None:
    for name in ("torch", "numpy", "coverage"):
        importlib.import_module(name)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main([*NOWHERE, *LEFT_OUT])
    package = importlib.import_module("pytest_modelbudget")
    for module in pkgutil.walk_packages(package.__path__, "pytest_modelbudget."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    # Each run of pytest ends with five collections of garbage, and all this is none.
    gc.collect()
    gc.freeze()


import_everything()
