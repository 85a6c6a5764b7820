"""What PyPI shows."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_links_of_the_readme_work_on_pypi_too() -> None:
    links = re.findall(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: *(\S+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    targets = [inline or reference for inline, reference in links]
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
