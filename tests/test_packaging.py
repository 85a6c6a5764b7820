"""What PyPI shows."""

from __future__ import annotations

import contextlib
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

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


RELEASES = ("3.10.0", "3.10.12", "3.11.0", "3.11.2", "3.12.0", "3.12.3", "3.13.0", "3.14.0", "3.14.1")
"""The first of each Python, where a pin that asks for a later one shows, and those of Debian 12 and Ubuntu."""


@pytest.mark.parametrize("python", RELEASES)
def test_the_pinned_versions_can_be_installed_on_every_python(python: str) -> None:
    """Each pin's own Requires-Python is read where it is installed: no index is asked."""
    environment = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    refusing = []
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        pin = None if line.startswith("#") else Requirement(line)
        if pin is None or (pin.marker and not pin.marker.evaluate(environment)):
            continue
        with contextlib.suppress(PackageNotFoundError):  # a pin for another Python than this one
            needed = metadata(pin.name).get("Requires-Python")
            if version(pin.name) in pin.specifier and needed and python not in SpecifierSet(needed):
                refusing.append(f"{line} needs Python {needed}")
    assert refusing == []
