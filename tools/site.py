"""Put the documentation of one version into the site: ``python tools/site.py SITE BUILT VERSION``.

The site holds a folder for main and for every release. The pages of the newest release, of main until there is one, lie
at its root as well, so that each link without a version stays true. The standard library is enough, since the Pages
workflow runs this where it may write to the repository.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

_VERSION = re.compile(r"main|(\d+)\.(\d+)\.(\d+)(?:(a|b|rc)(\d+))?")


def put(site: Path, built: Path, version: str) -> None:
    """Make ``built`` the folder of ``version``, and the newest version the root. What else the site holds stays.

    Raises ValueError where ``version`` is neither main nor a release such as 1.2.3 or 1.2.3rc1.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version} is no version of the site: main, 1.2.3 and 1.2.3rc1 are")
    for name in {path.name for known in _versions(site) for path in (site / known).iterdir()}:
        _remove(site / name)
    _remove(site / version)
    shutil.copytree(built, site / version, ignore=_foreign)
    versions = _versions(site)
    shutil.copytree(site / versions[0], site, dirs_exist_ok=True)
    # The script of pages that were built long ago reads this too: nothing in it may change its name or place.
    listed = [{"version": known, "pages": _pages(site / known)} for known in versions]
    (site / "versions.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    (site / ".nojekyll").touch()  # GitHub would leave out _static


def _versions(site: Path) -> list[str]:
    """Return the versions of a site: releases, newest first, then main, then what came before a release."""
    return sorted(filter(_VERSION.fullmatch, (path.name for path in site.iterdir())), key=_rank, reverse=True)


def _rank(version: str) -> tuple[int | str, ...]:
    if version == "main":
        return (1,)
    *numbers, kind, count = _VERSION.fullmatch(version).groups()  # type: ignore[union-attr]
    release = tuple(map(int, numbers))
    return (0, *release, kind, int(count)) if kind else (2, *release)


def _pages(folder: Path) -> list[str]:
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    return [page for page in found if page != "404.html"]


def _foreign(_: str, names: list[str]) -> list[str]:
    """Return what a build may not bring, as it would become a repository's settings or another version at the root."""
    return [name for name in names if name.startswith(".") or _VERSION.fullmatch(name)]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    put(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
