"""What other plugins know of a test that pytest itself does not."""

from __future__ import annotations

import sys


def has_failed_softly() -> bool:
    """Return whether a check of pytest-check has failed in the running test, which goes on and fails at its end."""
    pytest_check = sys.modules.get("pytest_check")
    return pytest_check is not None and bool(pytest_check.any_failures())
