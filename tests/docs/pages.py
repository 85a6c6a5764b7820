"""The pages that people read, as what is to be tried in them: stories, each a sequence of blocks.

A story is a project that starts empty; ``<!-- project: name -->`` begins the next one. A comment before a block says
what the block is, and a comment with text of its own is a block that readers do not see:

- ``file: PATH``: the block is this file of the project; ``copy: PATH`` copies a file or folder of the repository.
- ``run: COMMAND`` and ``fails: COMMAND`` run a command that succeeds, and one that does not.
- ``output of: COMMAND``: the block is what the command writes; ``output``: what the Python block before it prints.
- ``in: PATH``: the block stands in this file of the project.

Without a comment, Python is run, ``sh`` and ``console`` are run line by line and the output of the latter is compared,
TOML is read by the plugin, and YAML is parsed. Three dots stand for what is left out of a line, and on a line of their own for lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES_WITH_BLOCKS = [page for page in PAGES if page.name not in ("CONTRIBUTING.md", "CHANGELOG.md")]

_COMMENT = re.compile(r"<!--\s*(?P<verb>[a-z ]+?)(?:: *(?P<argument>[^\n]*?))?\s*(?:\n(?P<text>.*?))?-->\s*", re.DOTALL)
_OF_THE_NEXT = ("file", "output", "output of", "in")
_ALONE = ("copy", "run", "fails", "file")


@dataclass(frozen=True)
class Block:
    """A piece of a page: its language, its text and its line, and what the comment before it says of it."""

    language: str
    text: str
    line: int
    verb: str = ""
    argument: str = ""


@dataclass(frozen=True)
class Story:
    """What is done in one project of a page, in order."""

    page: Path
    name: str
    blocks: list[Block] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.name}"


def stories(page: Path) -> list[Story]:
    """Return the stories of a page that have anything to be tried."""
    found = [Story(page, "start")]
    for block in _blocks(page):
        if block.verb == "project":
            found.append(Story(page, block.argument))
        else:
            found[-1].blocks.append(block)
    return [story for story in found if story.blocks]


def _blocks(page: Path) -> Iterator[Block]:
    said = ("", "")
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        line = (token.map or [0])[0] + 1
        where = f"{page.name}:{line}"
        if token.type == "html_block" and token.content.startswith("<!--"):
            comment = _COMMENT.fullmatch(token.content)
            assert comment, f"{where}: no comment that pages.py knows"
            verb, argument, text = comment["verb"], comment["argument"] or "", comment["text"]
            if verb == "project" or (verb in _ALONE and (text is not None or verb != "file")):
                yield Block("", text or "", line, verb, argument)
            else:
                assert verb in _OF_THE_NEXT, f"{where}: {verb} is no verb that pages.py knows"
                assert said == ("", ""), f"{where}: the comment before this one has no block"
                said = (verb, argument)
        elif token.type == "fence" and not token.info.startswith("{"):
            yield Block(token.info.strip(), token.content, line, *said)
            said = ("", "")
        else:
            assert token.type != "code_block", f"{where}: an indented block has no language; write a fenced one"
