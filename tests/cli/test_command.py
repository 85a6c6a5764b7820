"""The command as a program: exit codes, encodings, pipes, and what it imports."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_modelbudget.cli.main import main
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.store import write_report

from .test_compare import lock, net

LATIN = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def modelbudget(*arguments: str, folder: Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pytest_modelbudget", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, env=LATIN, **options)  # type: ignore[call-overload,no-any-return]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"modelbudget {version('pytest-modelbudget')}\n")


def test_the_unexpected_is_one_line_and_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody\nexpected this")

    monkeypatch.setattr("pytest_modelbudget.cli.main.compare", broken)
    path = lock(tmp_path / "a.json", net(4))
    assert main(["compare", path, path]) == 2
    assert capsys.readouterr().err == "modelbudget: RuntimeError: nobody expected this\n"


def test_names_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    lock(tmp_path / "a.json", net(4, "größe"))
    for command in (
        ["init", "-q"],
        ["add", "a.json"],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], check=True, cwd=tmp_path)
    lock(tmp_path / "a.json", net(5, "größe"))
    for base in ("git:HEAD:a.json", "-"):
        given = subprocess.run(["git", "show", "HEAD:a.json"], cwd=tmp_path, capture_output=True, check=True).stdout
        done = modelbudget("compare", base, "a.json", "--format", "markdown", folder=tmp_path, input=given)
        assert (done.returncode, done.stderr) == (1, b"")
        assert "|größe args" in done.stdout.decode("utf-8")


def test_text_is_in_the_encoding_of_the_screen(tmp_path: Path) -> None:
    lock(tmp_path / "a.json", net(4, "größe"))
    lock(tmp_path / "b.json", net(5, "größe"))
    done = modelbudget("compare", "a.json", "b.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, b"")
    assert rb"gr\xf6\xdfe" in done.stdout


@pytest.mark.parametrize(("kind", "end"), [("csv", b"\r\n"), ("metrics", b"\n")])
def test_a_report_has_the_line_ends_of_its_format_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, end: bytes
) -> None:
    (tmp_path / "r.json").write_text(write_report(Run(unused=("test_a.py::test_a",))), encoding="utf-8")
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="cp1252", newline="\r\n"))  # of Windows
    main(["show", str(tmp_path / "r.json"), "--format", kind])
    text = output.getvalue()
    assert text
    assert text == end.join(text.splitlines()) + end


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    lock(tmp_path / "a.json", *(net(4, f"net{number}") for number in range(200)))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "pytest_modelbudget", "compare", "a.json", "a.json", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, b"")


def test_a_closed_pipe_is_quiet_in_the_words_of_windows_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EINVAL, "Invalid argument")

    path = lock(tmp_path / "a.json", net(4))
    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["compare", path, path]) == 2
    sys.stdout.close()
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="its shell cannot close a descriptor")
def test_a_closed_output_and_no_width_are_no_errors(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(write_report(Run(unused=("test_a.py::test_a",))))
    closed = f"{sys.executable} -m pytest_modelbudget show r.json --width 0 >&-"
    done = subprocess.run(closed, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, check=False, env=LATIN)
    assert (done.returncode, done.stderr) == (0, b"")


def test_reading_reports_needs_neither_torch_nor_what_writes_tables() -> None:
    """A workflow for forks installs the package with --no-deps, beside msgspec, tabulate and wcwidth."""
    code = (
        "import sys; from pytest_modelbudget.cli.main import main; main(['compare', sys.argv[1], sys.argv[1]]);"
        "print(sorted({'torch', 'pytest', 'tomlkit', 'psutil', 'jinja2'} & sys.modules.keys()))"
    )
    lock_file = Path(__file__).parents[2] / "example_project" / "modelbudget.lock.json"
    done = subprocess.run([sys.executable, "-c", code, lock_file], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
