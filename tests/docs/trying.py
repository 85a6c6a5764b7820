"""Do what a page says, in a project of its own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pytest_modelbudget.budgets.config_file import read_table
from warm import run_program

from .pages import ROOT, Block, Story

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Trial:
    """A story that is carried out block by block in ``folder``."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story, self.folder = story, folder
        self.names: dict[str, object] = {"__name__": "page"}
        self.printed = ""
        self.untried = False

    def carry_out(self) -> None:
        """Do every block; at the end run the tests that no command of the page has run."""
        for block in self.story.blocks:
            try:
                self._do(block)
            except AssertionError as error:
                where = f"{self.story.page.name}:{block.line}"
                raise AssertionError(f"{where} ({block.verb or block.language}): {error}") from None
        if self.untried:
            self._succeeds("pytest -q")

    def _do(self, block: Block) -> None:
        if block.language == "toml":
            self._read_toml(block.text)
        if block.verb == "file":
            path = self.folder / block.argument
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            self.untried |= path.name.startswith("test_") or path.name == "pyproject.toml"
        elif block.verb == "copy":
            self._copy(ROOT / block.argument)
        elif block.verb == "run":
            self._succeeds(block.argument)
        elif block.verb == "fails":
            code, output = self._run(block.argument)
            assert code, output
        elif block.verb == "output of":
            self._compare(block.text, self._run(block.argument)[1])
        elif block.verb == "output":
            self._compare(block.text, self.printed)
        elif block.verb == "in":
            text = (self.folder / block.argument).read_text(encoding="utf-8")
            self._compare(f"...\n{block.text}...\n", text)
        else:
            self._try(block)

    def _try(self, block: Block) -> None:
        if block.language == "python":
            assert "def test_" not in block.text, "a test stands in a file: say in which"
            self._execute(block)
        elif block.language == "console":
            self._console(block.text)
        elif block.language == "sh":
            for command in block.text.splitlines():
                self._succeeds(command)
        elif block.language == "yaml":
            assert YAML(typ="safe").load(block.text)
        else:
            assert block.language == "toml", f"nothing says how a block of {block.language or 'no language'} is tried"

    def _execute(self, block: Block) -> None:
        printed = io.StringIO()
        code = compile("\n" * block.line + block.text, str(self.story.page), "exec")
        with contextlib.redirect_stdout(printed), _at_home_in(self.folder):
            exec(code, self.names)
        self.printed = printed.getvalue()

    def _read_toml(self, text: str) -> None:
        document = tomllib.loads(text)
        if "modelbudget" in document.get("tool", {}):
            path = self.folder / "read.toml"
            path.write_text(text, encoding="utf-8")
            assert read_table(path, "pyproject.toml", asked_for=True)
            path.unlink()

    def _copy(self, path: Path) -> None:
        if path.is_dir():
            shutil.copytree(
                path, self.folder / path.name, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache")
            )
        else:
            shutil.copy(path, self.folder)

    def _console(self, text: str) -> None:
        commands = re.split(r"^\$ ", text, flags=re.MULTILINE)
        assert not commands[0], "a console begins with a command: $ pytest"
        for lines in commands[1:]:
            command, _, output = lines.partition("\n")
            if output.strip():
                self._compare(output, self._run(command)[1])
            else:
                self._succeeds(command)

    def _succeeds(self, command: str) -> None:
        code, output = self._run(command)
        assert code == 0, f"$ {command}\n{output}"

    def _run(self, command: str) -> tuple[int, str]:
        program, *arguments = shlex.split(command)
        if program in ("pip", "make"):
            return check_install(arguments) if program == "pip" else check_make(arguments)
        if program == "pytest":
            arguments += ["-p", "modelbudget", "-p", "no:cacheprovider"]
            self.untried = False
        if program in ("pytest", "modelbudget"):
            written = self.folder.with_name(f"{self.folder.name}.written")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(self.folder)
                patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
                patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # which takes as long as the run itself
                code = run_program("pytest" if program == "pytest" else "pytest_modelbudget", arguments, written)
            return code, written.read_text(encoding="utf-8")
        assert program in ("python", "git"), f"{program} is no command that pages may show"
        done = subprocess.run(
            [sys.executable if program == "python" else program, *arguments],
            cwd=self.folder,
            env={**os.environ, **_GIT},
            text=True,
            encoding="utf-8",
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.returncode, done.stdout

    def _compare(self, shown: str, real: str) -> None:
        if sys.version_info < (3, 11):  # where tracebacks do not underline the part of a line
            shown = re.sub(r"^ +\^+\n", "", shown, flags=re.MULTILINE)
        pattern = "".join(map(_pattern, plain(shown).splitlines()))
        assert re.fullmatch(pattern, plain(real)), f"the page shows\n{shown}\nand it is\n{real[:_SHOWN]}"


@contextlib.contextmanager
def _at_home_in(folder: Path) -> Iterator[None]:
    """Import from ``folder`` as a script in it would, and forget afterwards what was imported from there."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in [*sys.modules.items()]:
            if (getattr(module, "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]


_SHOWN = 10_000
_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "someone@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def plain(text: str) -> str:
    """Return ``text`` without what differs from run to run: times, and the rules that they shorten."""
    text = re.sub(r"\bin \d+\.\d+s(?: \(\d:\d\d:\d\d\))?", "in 0.00s", text)
    lines = (re.sub(r"(?<!\S)([=_-])\1{2,}(?!\S)", r"\1\1\1", line).rstrip() for line in text.splitlines())
    return "\n".join(lines).strip("\n") + "\n"


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return re.escape(line).replace(re.escape("..."), ".*") + r"\n"


def check_install(arguments: list[str]) -> tuple[int, str]:
    """Return whether ``pip install`` would install what the project declares: its name and its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    match = re.fullmatch(rf"{project['name']}(?:\[(.+)\])?", arguments[-1])
    extras = match[1].split(",") if match and match[1] else []
    known = bool(match) and {*extras} <= {*project["optional-dependencies"]}
    return int(not known), f"{arguments[-1]} is not what pyproject.toml declares"


def check_make(arguments: list[str]) -> tuple[int, str]:
    """Return whether the Makefile has these targets."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    missing = [target for target in arguments if not re.search(rf"^{target}:", text, re.MULTILINE)]
    return int(bool(missing)), f"the Makefile has no {missing}"
