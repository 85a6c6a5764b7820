"""Factories by name: which module they come from."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pytest_modelbudget.factories import FactoryError, imported

HERE = "def net(): return 'here'\n"
THERE = "def net(): return 'there'\n"


@pytest.fixture(autouse=True)
def imports() -> Iterator[None]:
    """Leave what was imported, and from where, as it was."""
    modules, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        del sys.modules[name]
    sys.path_importer_cache.clear()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load_from(folder: Path, name: str) -> None:
    sys.path.insert(0, str(folder))
    __import__(name)


@pytest.mark.parametrize(
    ("name", "here", "there"),
    [
        ("mbzoo", "mbzoo.py", "mbzoo.py"),
        ("mbzoo", "mbzoo/__init__.py", "mbzoo.py"),
        ("mbzoo", "src/mbzoo.py", "mbzoo.py"),
        ("mbzoo.text", "mbzoo/text.py", "mbzoo/text.py"),
        ("mbzoo.text.small", "mbzoo/text/small.py", "mbzoo/text/small.py"),
    ],
)
def test_another_module_of_that_name_is_refused(project: Path, name: str, here: str, there: str) -> None:
    expected, loaded = write(project / here, HERE), write(project / "tests" / there, THERE)
    load_from(project / "tests", name)
    with pytest.raises(FactoryError, match="is ambiguous") as raised:
        imported(f"{name}:net", project)
    assert str(expected) in str(raised.value)
    assert str(loaded) in str(raised.value)


def test_another_module_that_has_no_such_factory_or_is_no_package_is_refused(project: Path) -> None:
    write(project / "mbzoo" / "__init__.py", "")
    write(project / "mbzoo" / "text.py", HERE)
    load_from(write(project / "tests" / "mbzoo.py", "").parent, "mbzoo")
    with pytest.raises(FactoryError, match="is ambiguous"):
        imported("mbzoo.text:net", project)


def test_a_module_that_another_folder_hides_is_refused(project: Path) -> None:
    """The project is on the path already, behind a folder that has a module of that name."""
    write(project / "mbzoo.py", HERE)
    write(project / "tests" / "mbzoo.py", THERE)
    sys.path[:0] = [str(project / "tests"), str(project)]
    with pytest.raises(FactoryError, match="is ambiguous"):
        imported("mbzoo:net", project)


def test_a_link_to_the_project_is_the_project(project: Path, tmp_path: Path) -> None:
    write(project / "mbzoo.py", HERE)
    (tmp_path / "link").symlink_to(project)
    load_from(tmp_path / "link", "mbzoo")
    assert imported("mbzoo:net", project)() == "here"


def test_an_installed_copy_is_no_other_module(project: Path, tmp_path: Path) -> None:
    write(project / "src" / "mbzoo" / "__init__.py", HERE)
    load_from(write(tmp_path / "site-packages" / "mbzoo" / "__init__.py", HERE).parents[1], "mbzoo")
    assert imported("mbzoo:net", project)() == "here"


def test_an_installed_copy_that_is_out_of_date_is_refused(project: Path, tmp_path: Path) -> None:
    write(project / "src" / "mbzoo" / "__init__.py", HERE)
    load_from(write(tmp_path / "site-packages" / "mbzoo" / "__init__.py", THERE).parents[1], "mbzoo")
    with pytest.raises(FactoryError, match="is ambiguous"):
        imported("mbzoo:net", project)


@pytest.mark.parametrize("there", ["mbzoo/__init__.py", "mbzoo/text.py", "mbzoo.py"])
def test_what_the_project_does_not_have_comes_from_elsewhere(project: Path, tmp_path: Path, there: str) -> None:
    """A folder of that name is a checkout, or holds data."""
    write(project / "mbzoo" / "data.txt", "")
    load_from(write(tmp_path / "lib" / there, THERE).parents[there.count("/")], "mbzoo")
    name = "mbzoo.text" if "text" in there else "mbzoo"
    assert imported(f"{name}:net", project)() == "there"


def test_a_package_may_look_for_its_modules_where_it_likes(project: Path) -> None:
    write(project / "mbzoo" / "__init__.py", f"__path__.insert(0, {str(project / 'vendored')!r})")
    write(project / "mbzoo" / "text.py", HERE)
    write(project / "vendored" / "text.py", THERE)
    assert imported("mbzoo.text:net", project)() == "there"


def test_modules_without_a_file_are_nobody_elses(project: Path) -> None:
    write(project / "mbzoo.py", HERE)
    made = sys.modules["mbzoo"] = ModuleType("mbzoo")
    made.net = lambda: "made"  # type: ignore[attr-defined]
    assert imported("mbzoo:net", project)() == "made"


def test_modules_in_an_archive(project: Path, tmp_path: Path) -> None:
    project.mkdir()
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("mbzoo.py", THERE)
    sys.path.insert(0, str(tmp_path / "lib.zip"))
    assert imported("mbzoo:net", project)() == "there"
    assert imported("mbzoo:net", tmp_path / "lib.zip")() == "there"


def test_a_package_of_several_folders(project: Path, tmp_path: Path) -> None:
    write(project / "mbzoo" / "text.py", HERE)
    write(tmp_path / "lib" / "mbzoo" / "images.py", THERE)
    load_from(tmp_path / "lib", "mbzoo.images")
    assert imported("mbzoo.text:net", project)() == "here"
    assert imported("mbzoo.images:net", project)() == "there"
