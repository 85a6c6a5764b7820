"""What a build does to the site that is published: ``tools/site.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.site import put


def built(folder: Path, **pages: str) -> Path:
    (folder / "_static").mkdir(parents=True)
    (folder / "_static" / "style.css").touch()
    for name, text in {"index": folder.name, **pages}.items():
        (folder / f"{name}.html").write_text(text)
    return folder


def publish(tmp_path: Path, *versions: str) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    for count, version in enumerate(versions):
        put(site, built(tmp_path / str(count) / version), version)
    return site


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (["main"], ["main"]),
        (["0.1.0"], ["0.1.0"]),
        (["main", "0.1.0", "main"], ["0.1.0", "main"]),
        (["0.9.0", "0.10.0", "main"], ["0.10.0", "0.9.0", "main"]),
        (["main", "0.1.0", "0.2.0", "0.1.1"], ["0.2.0", "0.1.1", "0.1.0", "main"]),
        (["main", "0.1.0", "0.2.0rc10", "0.2.0rc9"], ["0.1.0", "main", "0.2.0rc10", "0.2.0rc9"]),
        (["0.2.0a1", "0.2.0b1", "main", "0.2.0", "0.2.0"], ["0.2.0", "main", "0.2.0b1", "0.2.0a1"]),
    ],
    ids=" ".join,
)
def test_the_newest_release_is_at_the_root(tmp_path: Path, published: list[str], expected: list[str]) -> None:
    site = publish(tmp_path, *published)
    assert [one["version"] for one in json.loads((site / "versions.json").read_text())] == expected
    assert (site / "index.html").read_text() == expected[0]
    assert [(site / version / "index.html").read_text() for version in expected] == expected
    assert (site / "_static" / "style.css").exists()
    assert (site / ".nojekyll").exists()


def test_a_version_that_is_published_again_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    site = publish(tmp_path, "0.1.0")
    (site / "CNAME").write_text("example.org")
    put(site, built(tmp_path / "0.2.0", gone="", other="old"), "0.2.0")
    before = (site / "0.1.0" / "index.html").stat().st_mtime_ns
    put(site, built(tmp_path / "again", other="new", **{"404": ""}), "0.2.0")
    for folder in (site, site / "0.2.0"):
        assert [path.stem for path in sorted(folder.glob("*.html"))] == ["404", "index", "other"]
        assert (folder / "other.html").read_text() == "new"
    listed = json.loads((site / "versions.json").read_text())
    assert listed[0] == {"version": "0.2.0", "pages": ["index.html", "other.html"]}, "where a reader may switch to"
    assert (site / "0.1.0" / "index.html").stat().st_mtime_ns == before
    assert (site / "CNAME").read_text() == "example.org"


def test_a_build_brings_no_other_version_and_no_settings_of_git(tmp_path: Path) -> None:
    site = publish(tmp_path, "0.1.0")
    (site / ".git").mkdir()
    build = built(tmp_path / "0.2.0")
    for name in (".git", "0.1.0", "main"):
        built(build / name)
    put(site, build, "0.2.0")
    assert (site / "0.1.0" / "index.html").read_text() == "0.1.0"
    assert not (site / "main").exists()
    assert [*(site / ".git").iterdir()] == []


@pytest.mark.parametrize("version", ["1", "v1.0.0", "../main", "1.0.0.dev1", ""])
def test_what_is_no_version_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(ValueError, match="is no version of the site"):
        put(tmp_path, built(tmp_path / "built"), version)
    assert [path.name for path in tmp_path.iterdir()] == ["built"]
