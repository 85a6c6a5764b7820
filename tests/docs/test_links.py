"""Every link of README, CONTRIBUTING and documentation leads to a file that exists, and to a heading in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from .pages import PAGES, ROOT

REPOSITORY = "https://github.com/pytest-modelbudget/pytest-modelbudget/"
RAW = "https://raw.githubusercontent.com/pytest-modelbudget/pytest-modelbudget/main/"
SITE = "https://pytest-modelbudget.github.io/pytest-modelbudget/"


def tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def links(page: Path) -> list[str]:
    found = (token.attrGet("href") or token.attrGet("src") for token in tokens(page))
    return [str(link) for link in found if link]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST make them."""
    every = [*tokens(page)]
    headings = [every[index + 1].content for index, token in enumerate(every) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def target_of(link: str, page: Path) -> tuple[Path, str] | None:
    """Return the file and the anchor that a link means, or None where it leads elsewhere."""
    place, _, anchor = link.partition("#")
    if place.startswith(SITE):
        name = place.removeprefix(SITE).removesuffix(".html") or "index"
        return next(path for path in (ROOT / f"docs/{name}.md", ROOT / f"docs/{name}.rst") if path.exists()), anchor
    match = re.fullmatch(re.escape(REPOSITORY) + r"(?:blob|tree)/main/(.+)", place)
    if match or place.startswith(RAW):
        return ROOT / (match[1] if match else place.removeprefix(RAW)), anchor
    return None if "://" in place else (page.parent / place if place else page, anchor)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in links(page):
        found = target_of(link, page)
        if found is None:
            continue
        path, anchor = found
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            lost.append(link)
    assert lost == []
