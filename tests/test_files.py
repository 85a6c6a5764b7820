"""Files are written whole or not at all, and what is no regular file is written into."""

from __future__ import annotations

import ntpath
import os
import stat
import threading
from pathlib import Path, PureWindowsPath

import pytest

from pytest_modelbudget import files
from pytest_modelbudget.files import check_writable, shown_from, write_whole


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_keeps_its_mode_and_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    path.chmod(0o640)
    mode = path.stat().st_mode
    check_writable(path)
    write_whole(path, "one\r\ntwo\n")
    assert (path.read_bytes(), path.stat().st_mode) == (b"one\r\ntwo\n", mode)
    assert entries(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (r"C:\work\reports\a.json", "reports/a.json"),
        (r"c:\Work\a.json", "a.json"),
        (r"C:\a.json", "../a.json"),
        (r"D:\out\a.json", "D:/out/a.json"),
    ],
)
def test_a_path_of_windows_is_shown_with_slashes(path: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "Path", PureWindowsPath)
    monkeypatch.setattr(os.path, "relpath", ntpath.relpath)
    assert shown_from(PureWindowsPath(r"C:\work"), path) == shown  # type: ignore[arg-type]


def test_a_file_that_another_program_has_open_on_windows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_use(self: Path, target: Path) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    monkeypatch.setattr(Path, "rename", in_use)
    check_writable(tmp_path / "a.csv")
    (tmp_path / "a.csv").touch()
    with pytest.raises(PermissionError, match="used by another"):
        check_writable(tmp_path / "a.csv")
    assert entries(tmp_path) == ["a.csv"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "far" / "a.txt", tmp_path / "link"
    link.symlink_to(target)
    check_writable(link)
    write_whole(link, "text")
    assert (link.is_symlink(), target.read_text()) == (True, "text")


def test_a_device_stays_one() -> None:
    check_writable(Path(os.devnull))
    write_whole(Path(os.devnull), "text")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes among files")
def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    writer = threading.Thread(target=write_whole, args=(pipe, "text"))
    writer.start()
    assert pipe.read_text() == "text"
    writer.join()


def test_what_cannot_be_written_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "after")
    assert (path.read_text(), entries(tmp_path)) == ("before", ["a.txt"])


def test_a_read_only_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.touch(0o444)
    path.chmod(0o444)
    for refused in (path, tmp_path, path / "below"):
        with pytest.raises(OSError, match=r"."):
            check_writable(refused)
