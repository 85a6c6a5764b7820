"""Where something was declared."""

from __future__ import annotations

from msgspec import Struct


class Place(Struct, frozen=True, omit_defaults=True):
    """A file, a line where one is known, and what stands there."""

    path: str
    line: int | None = None
    what: str = ""

    @property
    def short(self) -> str:
        """The file and the line."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def __str__(self) -> str:
        return f"{self.short} {self.what}".strip()
