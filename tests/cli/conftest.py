"""The command is tested on what the plugin writes."""

from __future__ import annotations

from plugin.conftest import Run, imported, run

__all__ = ["Run", "imported", "run"]
