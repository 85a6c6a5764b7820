"""The documentation is built, every warning being an error, and published beside that of other versions."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tools.site import put

from .pages import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SITE = "https://pytest-modelbudget.github.io/pytest-modelbudget/"
PREFIX = "/pytest-modelbudget/"


def build(folder: Path, named: str = "") -> subprocess.CompletedProcess[str]:
    options = ["-W", "--keep-going", "-n", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder / "html")]
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    if named:
        environment["DOCS_VERSION"] = named
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documentation")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_the_documentation_is_built_without_a_warning(built: Path) -> None:
    start = (built / "index.html").read_text(encoding="utf-8")
    assert 'src="_images/comment.png"' in start, "the pictures are those of the repository"
    assert 'href="reports.html"' in start, "the links of the README stay within the site"
    assert "copybutton.js" in start
    assert "resnet50_384" in (built / "example.html").read_text(encoding="utf-8")
    assert "0.1.0 (" in (built / "changelog.html").read_text(encoding="utf-8")
    assert (built / "api.html").read_text(encoding="utf-8").count("<dt") > 20


def test_a_page_says_its_version_and_what_others_may_show_of_it(built: Path) -> None:
    descriptions = set()
    pages = [path.with_suffix(".html").name for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".rst")]
    for name in pages:
        text = (built / name).read_text(encoding="utf-8")
        assert f">Version: {version('pytest-modelbudget')}<" in text
        assert f'<link rel="canonical" href="{SITE}{name}">' in text, "the page of the newest release"
        shown = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="(.*?)" />', text))
        assert (shown["og:url"], shown["og:image"]) == (SITE + name, f"{SITE}_static/card.png")
        assert shown["twitter:card"] == "summary_large_image"
        assert f"<h1>{shown['og:title']}<a " in re.sub(r"</?(code|span)\b.*?>", "", text)
        assert shown["og:description"] == shown["description"]
        words = html.unescape(shown["description"].removesuffix(" ..."))
        assert words in " ".join(html.unescape(re.sub("<.*?>", "", text.partition("<h1>")[2])).split())
        descriptions.add(shown["og:description"])
    assert len(descriptions) == len(pages) > 10
    card = (built / "_static" / "card.png").read_bytes()
    assert card[16:24] == (1200).to_bytes(4, "big") + (630).to_bytes(4, "big")
    assert len(card) < 150_000


def test_the_page_for_lost_links_works_at_any_depth(built: Path) -> None:
    text = (built / "404.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)
    relative = [link for link in links if not link.startswith(("#", "https://", PREFIX))]
    assert relative == []
    inside = [re.split("[?#]", link.removeprefix(PREFIX))[0] for link in links if link.startswith(PREFIX)]
    assert len(inside) > 20
    assert [link for link in inside if not (built / link).exists()] == []


def test_a_build_is_called_main_or_by_what_is_installed(tmp_path: Path) -> None:
    done = build(tmp_path, "9.9.9")
    assert done.returncode != 0
    assert "DOCS_VERSION is 9.9.9" in done.stdout + done.stderr


class LikeGitHub(SimpleHTTPRequestHandler):
    """Answers with the 404 page of the root where there is no file."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory, PREFIX.strip("/"), "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a site of two releases and main, and return its address. The first release has no page on hooks."""
    folder = tmp_path_factory.mktemp("published")
    (folder / PREFIX.strip("/")).mkdir()
    for named in ("0.1.0", "0.2.0", "main"):
        copy = tmp_path_factory.mktemp("copy") / named
        shutil.copytree(built, copy)
        for page in copy.glob("*.html"):
            text = page.read_text(encoding="utf-8")
            own = re.sub(r'(data-version=")[^"]*(">Version: )[^<]*', rf"\g<1>{named}\g<2>{named}", text)
            page.write_text(own, encoding="utf-8")
        if named == "0.1.0":
            (copy / "hooks.html").unlink()
        put(folder / PREFIX.strip("/"), copy, named)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(LikeGitHub, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(10_000)
    yield page
    page.close()


def test_a_reader_switches_to_the_same_page_of_another_version(page: Page, site: str) -> None:
    page.goto(f"{site}table.html")
    menu = page.locator("details.versions")
    menu.locator("summary").click()
    assert menu.inner_text().split() == ["Version:", "0.2.0", "0.2.0", "0.1.0", "main"]
    assert page.locator(".versions-notice").count() == 0, "of the newest release"
    menu.get_by_role("link", name="0.1.0").click()
    page.wait_for_url(f"{site}0.1.0/table.html")
    notice = page.locator(".versions-notice")
    notice.wait_for()
    assert notice.inner_text() == "This page is of version 0.1.0. The newest release is 0.2.0."
    notice.get_by_role("link").click()
    page.wait_for_url(f"{site}table.html")
    page.goto(f"{site}main/hooks.html")
    notice.wait_for()
    assert notice.inner_text().startswith("This page is of main, which is not released. ")
    menu.locator("summary").click()
    menu.get_by_role("link", name="0.1.0").click()
    page.wait_for_url(f"{site}0.1.0/")
    assert page.locator("h1").first.inner_text().startswith("pytest-modelbudget"), "its start, as it has no such page"


def test_a_page_alone_just_says_its_version(page: Page, built: Path) -> None:
    page.goto((built / "table.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert page.locator(".versions").inner_text() == f"Version: {version('pytest-modelbudget')}"
    assert page.locator("details.versions, .versions-notice").count() == 0


def test_a_reader_searches_within_a_version(page: Page, site: str) -> None:
    page.goto(f"{site}main/index.html")
    page.get_by_role("textbox", name="Search").fill("growth")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="The baseline").nth(1).click()
    page.wait_for_url(lambda url: url.startswith(f"{site}main/baseline.html"))


def test_a_lost_link_leads_to_a_page_that_looks_like_the_others(page: Page, site: str) -> None:
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status != 200 else None)
    lost = f"{site}0.1.0/of/another/time.html"
    page.goto(lost)
    page.wait_for_load_state("networkidle")
    assert [url for url in failed if not url.endswith("favicon.ico")] == [lost]
    page.get_by_role("main").get_by_role("link", name="the start").click()
    page.wait_for_url(site)
