"""Lines on a terminal, in colours where pytest would show any."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from pytest_modelbudget.reports.lines import Line

_CODES = {"red": 31, "green": 32, "yellow": 33}


def show(lines: Iterable[Line]) -> None:
    """Print lines, with the colours of their statuses."""
    coloured = _wants_colours()
    if coloured and sys.platform == "win32":
        import colorama  # type: ignore[import-untyped]  # pytest brings it

        colorama.just_fix_windows_console()
    for line in lines:
        status = f"\033[{_CODES[line.colour]}m{line.status}\033[0m" if coloured and line.colour else line.status
        print(f"{line.text}{status}".rstrip())


def _wants_colours() -> bool:
    """Return whether standard output shows colours, by the variables that pytest obeys and in its order."""
    by_pytest = os.environ.get("PY_COLORS")
    if by_pytest in ("0", "1"):
        return by_pytest == "1"
    if os.environ.get("NO_COLOR") or os.environ.get("FORCE_COLOR"):
        return not os.environ.get("NO_COLOR")
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
