"""What PyPI shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_the_links_of_the_readme_work_on_pypi_too() -> None:
    links = re.findall(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: *(\S+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    targets = [inline or reference for inline, reference in links]
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    package = ROOT / "pytest_modelbudget"
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = table["tool"]["setuptools"]["package-data"]["pytest_modelbudget"]
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    found = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert found == shipped
