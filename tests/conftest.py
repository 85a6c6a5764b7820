"""What every test of the plugin starts from: no CI around it, a screen of 80 columns, and no colours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]

UNSET = ("BUILD_NUMBER", "CI", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "PYTEST_ADDOPTS")


@pytest.fixture(scope="session", autouse=True)
def plain_surroundings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in [*os.environ]:
            if name in UNSET or name.startswith(("GITHUB_", "PYTEST_XDIST")):
                monkeypatch.delenv(name)
        # Without its cache, every run of pytest would rewrite the assertions of all plugins again.
        monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        monkeypatch.setenv("COLUMNS", "80")
        yield
