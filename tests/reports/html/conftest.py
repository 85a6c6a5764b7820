"""The page of a run, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelbudget.reports.html import of_run

from .samples import everything

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "modelbudget.html"
    path.write_text(of_run(everything()), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser: Browser, file: Path) -> Iterator[Open]:
    """Open the page; at the end nothing was loaded, logged or raised, and no dialog has opened."""
    complaints: list[str] = []
    contexts = []

    def open_page(fragment: str = "", *, width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        context.on("request", lambda request: complaints.append(request.url))
        context.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("websocket", lambda socket: complaints.append(socket.url))
        page.goto(f"{file.as_uri()}{fragment}")
        return page

    open_page.complaints = complaints  # type: ignore[attr-defined]
    yield open_page
    for context in contexts:
        context.close()
    assert [one for one in complaints if one.partition("#")[0] not in (file.as_uri(), "data:,")] == []


def complaints_of_axe(page: Page) -> list[Any]:
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(found => found.violations)")
    return [(one["id"], one["impact"], [node["html"] for node in one["nodes"]][:3]) for one in found]
