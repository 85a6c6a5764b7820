"""The pictures of the README and the site, from real runs: ``make pictures``.

``docs/pictures/comment.png`` is the comment on a pull request that makes a model larger, no wider than a phone shows it
readably; ``docs/pictures/page.png`` is the HTML report of the example project. ``docs/pictures/card.png`` is what
others show beside a link to the site: the name, and how the test of that larger model fails. Chromium draws them all.
"""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import redirect_stdout
from html import escape
from importlib.metadata import metadata
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from markdown_it import MarkdownIt
from playwright.sync_api import Browser, sync_playwright

from pytest_modelbudget.cli.main import main as modelbudget
from tools.example import EXAMPLE, ROOT, run_pytest

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1200, 1190
LARGEST = 300_000  # bytes
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
_TABLE = """
[tool.modelbudget.models]
resnet50 = { factory = "zoo:ResNet50", inputs = "1x3x224x224", params = "25.6M", macs = "4.1G" }
mobilenetv2 = { factory = "zoo:MobileNetV2", inputs = "1x3x224x224", macs = "310M" }
vit_b_16 = { factory = "zoo:ViTB16", inputs = "1x3x224x224", macs = "17.6G" }
"""
_LARGER = ("classes: int = 1000", "classes: int = 1200")
_PHONE = 520
_OF_GITHUB = """
body { margin: 0; padding: 8px; font: 14px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff }
main { border: 1px solid #d1d9e0; border-radius: 6px; padding: 2px 10px }
h2 { font-size: 19px; margin: 8px 0; padding-bottom: 4px; border-bottom: 1px solid #d1d9e0 }
table { border-collapse: collapse; font-size: 13px } th, td { border: 1px solid #d1d9e0; padding: 4px 5px }
tr:nth-child(even) { background: #f6f8fa } ul { padding-left: 20px } p, ul, table, details { margin: 8px 0 }
"""
_CARD = {"width": 1200, "height": 630}  # as Open Graph and its readers have it
_OF_THE_CARD = """
body { margin: 0; padding: 54px 60px; box-sizing: border-box; height: 630px; background: #f5f6f8; color: #1b2027 }
body { font: 33px/1.35 "Liberation Sans", Arial, sans-serif; display: flex; flex-direction: column }
h1 { font-size: 84px; line-height: 1; margin: 0 0 20px; letter-spacing: -1.5px } p { margin: 0; color: #57606b }
pre { margin: auto 0 0; padding: 24px 22px; border-radius: 12px; border-left: 10px solid #d1323e }
pre { font: 22.5px/1.45 "DejaVu Sans Mono", monospace; background: #171b22; color: #e8ebf0; overflow: hidden }
i { font-style: normal; color: #f0595a } b { color: #ff8a85 }
"""


def larger_model(folder: Path) -> str:
    """Make a project in which one of three models has more classes than agreed on, and return how its test fails."""
    shutil.copytree(EXAMPLE / "zoo", folder / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pyproject.toml").write_text(_TABLE, encoding="utf-8")
    run_pytest("--modelbudget-update", folder=folder)
    model = folder / "zoo" / "resnet.py"
    model.write_text(model.read_text(encoding="utf-8").replace(*_LARGER), encoding="utf-8")
    return run_pytest("--modelbudget-report=json", folder=folder, passes=False)


def comment_on_growth(folder: Path) -> str:
    """Return the Markdown of a comment on a pull request that has left ``folder`` so."""
    base, between = folder / "modelbudget.lock.json", "4f1c2ab with main (9d0e771)"
    with redirect_stdout(StringIO()) as written:
        modelbudget(
            ["show", str(folder / "modelbudget.json"), "--format=markdown", f"--base={base}", f"--between={between}"]
        )
    return written.getvalue()


def draw_comment(browser: Browser, markdown: str, picture: Path) -> None:
    """Write the picture of a comment, in the style of GitHub."""
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    shown = browser.new_page(viewport={"width": _PHONE, "height": 100}, device_scale_factor=2, color_scheme="light")
    shown.set_content(f"<style>{_OF_GITHUB}</style><main>{html}</main>")
    shown.screenshot(path=picture, full_page=True)


def draw_card(browser: Browser, screen: str, picture: Path) -> None:
    """Write the picture of the name, what it is for, and the first lines of a failure."""
    failure = re.findall("^E .*", screen, re.MULTILINE)[:8]
    lines = (re.sub(r"(\(\+[\d.]+%\)|BudgetExceeded)", r"<b>\1</b>", escape(line[1:])) for line in failure)
    name, line = (metadata("pytest-modelbudget")[field] for field in ("Name", "Summary"))
    failing = "\n".join(f"<i>E</i>{line}" for line in lines)
    shown = browser.new_page(viewport=_CARD)  # type: ignore[arg-type]
    shown.set_content(f"<style>{_OF_THE_CARD}</style><h1>{name}</h1><p>{line}</p><pre>{failing}</pre>")
    shown.screenshot(path=picture)


def draw_page(browser: Browser, page: Path, picture: Path) -> None:
    """Write the picture of the top of a page with its first model opened."""
    shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
    shown.goto(page.as_uri())
    shown.locator(".card > summary").first.click()
    shown.locator(".icicle .box").first.wait_for()
    shown.mouse.move(0, 0)
    shown.evaluate("document.fonts.ready")
    shown.screenshot(path=picture)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        page = Path(folder) / "modelbudget.html"
        run_pytest(f"--modelbudget-report=html:{page}")
        draw_page(browser, page, PICTURES / "page.png")
        draw_card(browser, larger_model(Path(folder) / "project"), PICTURES / "card.png")
        draw_comment(browser, comment_on_growth(Path(folder) / "project"), PICTURES / "comment.png")
        browser.close()
    for picture in sorted(PICTURES.iterdir()):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
        if size > LARGEST:
            sys.exit(f"{picture.name} is larger than {LARGEST:,} bytes")


if __name__ == "__main__":
    main()
