"""What is published: sdist, wheel, what PyPI shows of them, and which versions they work with."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from tools.release import notes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


STRAYS = (".pypirc", "notes.md", "reports/report.html", "a.whl")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, built in a folder that has more in it than what is published, and unpacked."""
    project, folder = tmp_path_factory.mktemp("project") / "here", tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".git", ".venv*", "build", ".*_cache", "*.pyc"))
    for name in STRAYS:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).touch()
    hatchling("sdist", project, folder)
    (archive,) = folder.glob("*.tar.gz")
    subprocess.run(
        ["tar", "xzf", archive, "-C", folder], check=True
    )  # Python 3.11.2 knows no filter, and 3.12 wants one
    return folder / archive.name.removesuffix(".tar.gz")


def test_the_sdist_holds_what_is_tracked_and_no_strays(sdist: Path) -> None:
    assert [name for name in STRAYS if (sdist / name).exists()] == []
    assert {path.name for path in sdist.iterdir()} >= {"PKG-INFO", "LICENSE", "README.md", ".gitignore"}
    if not (ROOT / ".git").exists():
        pytest.skip("only a clone knows what is tracked")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in tracked.split("\0") if not (sdist / name).exists()] == []


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel that is built of the sdist."""
    folder = tmp_path_factory.mktemp("built")
    hatchling("wheel", sdist, folder)
    return ZipFile(next(folder.glob("*.whl")))


def hatchling(target: str, project: Path, to: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", to], cwd=project, check=True)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: ZipFile) -> None:
    package = ROOT / "pytest_modelbudget"
    files = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    built = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert built == {name for name in files if not name.endswith(".pyc")}


def test_every_link_of_the_readme_leads_from_pypi_to_a_file_of_that_version(wheel: ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    text = wheel.read(name).decode()
    found = re.findall(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: *(\S+)|src=\"([^\"]+)", text, re.MULTILINE)
    links = [next(filter(None, groups)) for groups in found]
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    ours = [link for link in links if f"/v{PROJECT['version']}/" in link]
    lost = [link for link in ours if not (ROOT / link.partition("/v")[2].partition("/")[2].partition("#")[0]).exists()]
    assert len(ours) > 20
    assert lost == []


def test_the_badges_are_true() -> None:
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    badges = re.findall(r"shields\.io/badge/([\w.-]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert badges == [f"python-{pythons[0]}_to_{pythons[-1]}-blue", f"licence-{PROJECT['license']}-blue"]
    assert PROJECT["requires-python"] == f">={pythons[0]}"


CHANGES = "# Changelog\n\n## 0.2.0 (2026-12-01)\n\nNew.\n\n### More\n\nAll.\n\n## 0.1.0 (unreleased)\n\nFirst.\n\n## 0.0.9 (2026-02-30)\n"


def test_what_a_release_says_is_its_section_of_the_changelog() -> None:
    assert notes("0.2.0", CHANGES, "v0.2.0") == "New.\n\n### More\n\nAll.\n"
    assert notes("0.1.0", CHANGES, None) == "First.\n"


@pytest.mark.parametrize(
    ("number", "tag", "says"),
    [
        ("0.2.0", "v0.2.1", "the tag must be v0.2.0, as in pyproject.toml, and is v0.2.1"),
        ("0.2.0", "0.2.0", "the tag must be v0.2.0, as in pyproject.toml, and is 0.2.0"),
        ("0.0.9", "v0.0.9", "give it the day"),
        ("0.3.0", "v0.3.0", "the changelog has no section on 0.3.0"),
        ("0.1.0", "v0.1.0", r"the changelog says '0.1.0 \(unreleased\)': give it the day, 0.1.0 \(YYYY-MM-DD\)"),
    ],
)
def test_what_may_not_be_released(number: str, tag: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        notes(number, CHANGES, tag)


def test_conda_forge_asks_for_the_same() -> None:
    recipe = YAML(typ="safe").load(ROOT / "tools" / "recipe.yaml")
    ours = {str(Requirement(text.partition(";")[0])) for text in PROJECT["dependencies"]}
    theirs = {str(Requirement(text.replace("pytorch", "torch"))) for text in recipe["requirements"]["run"][1:]}
    assert theirs == ours
    assert [text.replace(" ", "") for text in recipe["requirements"]["host"][2:]] == PYPROJECT["build-system"][
        "requires"
    ]
    assert recipe["about"]["summary"] == PROJECT["description"]


def test_ruff_is_the_same_before_a_commit() -> None:
    hooks = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    (pin,) = re.findall(r"^ruff==.+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*itertools.chain(*(hook["additional_dependencies"] for hook in hooks))} == {pin}


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
