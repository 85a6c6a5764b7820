"""How much memory a real run may take."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory() -> int | None:
    """Return the bytes of memory that are free, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
