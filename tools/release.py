"""What the release workflow asks: whether this tree may be released as a tag, and what its release says.

python -m tools.release v0.2.0 > notes.md    # refuses a tag that is not the version of pyproject.toml
python -m tools.release > notes.md           # the same without a tag, for a dry run
"""

from __future__ import annotations

import contextlib
import re
import sys
from datetime import date
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def notes(version: str, changelog: str, tag: str | None) -> str:
    """Return the section of the changelog on ``version``. Raises ValueError where it cannot be released as ``tag``."""
    if tag not in (None, f"v{version}"):
        raise ValueError(f"the tag must be v{version}, as in pyproject.toml, and is {tag}")
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for heading, _, text in (section.partition("\n") for section in sections):
        if heading.split()[:1] == [version]:
            if tag and not _is_dated(heading):
                raise ValueError(f"the changelog says {heading!r}: give it the day, {version} (YYYY-MM-DD)")
            return text.strip() + "\n"
    raise ValueError(f"the changelog has no section on {version}")


def _is_dated(heading: str) -> bool:
    found = re.fullmatch(r"\S+ \((\d{4}-\d\d-\d\d)\)", heading)
    with contextlib.suppress(ValueError):
        return found is not None and bool(date.fromisoformat(found[1]))
    return False


def main(tag: str | None = None) -> str:
    """Return what ``notes`` says of this tree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return notes(project["version"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag)


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]), end="")
    except ValueError as error:
        raise SystemExit(f"release: {error}") from None
