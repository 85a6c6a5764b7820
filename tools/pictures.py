"""The pictures of the README, from a real run of the example project: ``make pictures``.

``docs/pictures/terminal.svg`` is what pytest writes, in its colours; ``docs/pictures/page.png`` is the HTML report in
Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS, WIDTH, HEIGHT = 92, 1200, 1190
LARGEST = 300_000  # bytes
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def run_example(page: Path) -> str:
    """Run the example project, write its page, and return what pytest wrote of the budgets."""
    left_out = ("CI", "NO_COLOR", "FORCE_COLOR", "PYTEST_ADDOPTS")
    environment = {key: value for key, value in os.environ.items() if key not in left_out and key[:7] != "GITHUB_"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--color=yes",
        f"--modelbudget-report=html:{page}",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT / "example_project",
        env={**environment, "COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if " model budgets " in line)
    return "\n".join(line for line in lines[start:] if not line.startswith("html report"))


def draw_terminal(text: str) -> str:
    """Return the SVG of a terminal that shows ``$ pytest`` and then ``text``; it loads no font."""
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115
    console.print(Text("$ pytest", style="bold"))
    console.print(Text.from_ansi(text))
    svg = console.export_svg(title="pytest", theme=DIMMED_MONOKAI, unique_id="terminal")
    svg = re.sub(r"@font-face \{.*?\n    \}\n", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")


def draw_page(page: Path, picture: Path) -> None:
    """Write the picture of the top of a page with its first model opened."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        shown.goto(page.as_uri())
        shown.locator(".card > summary").first.click()
        shown.locator(".icicle .box").first.wait_for()
        shown.mouse.move(0, 0)
        shown.evaluate("document.fonts.ready")
        shown.screenshot(path=picture)
        browser.close()


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "modelbudget.html"
        terminal = draw_terminal(run_example(page))
        (PICTURES / "terminal.svg").write_text(terminal, encoding="utf-8")
        draw_page(page, PICTURES / "page.png")
    for picture in sorted(PICTURES.iterdir()):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
        if size > LARGEST:
            sys.exit(f"{picture.name} is larger than {LARGEST:,} bytes")


if __name__ == "__main__":
    main()
