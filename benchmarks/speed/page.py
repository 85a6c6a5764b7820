"""The HTML report of 200 models of 2 000 modules: writing it, its size, opening it, and opening a model.

Every model is over its limit, so the page opens with the first one drawn; where modules grew, all of every model have.

``python -m benchmarks.speed.page [--models 200] [--rounds 5]``; needs Chromium, and the extras ``html`` and ``test``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyperf
from msgspec import structs
from playwright.sync_api import Browser, sync_playwright
from tabulate import tabulate
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.budgets import Place, Rules, Table, budget_for, judge, parse_limit
from pytest_modelbudget.reports.html import of_run
from pytest_modelbudget.results import ModelResult, Result, Run
from pytest_modelbudget.results.difference import differences

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def uneven(more: int = 0) -> nn.Module:
    """Return 2 001 modules of which no two are alike, all wider by ``more``."""
    stages = [
        nn.Sequential(nn.Linear(width, width + 3), nn.LayerNorm(width + 3), nn.Linear(width + 3, width + 1), nn.ReLU())
        for width in range(8 + more, 408 + more)
    ]
    return nn.Sequential(*stages)


def even() -> nn.Module:
    """Return 2 001 modules: 400 layers that are alike."""
    return nn.Sequential(
        *[nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64), nn.LayerNorm(64)) for _ in range(400)]
    )


def run_of(measurement: Measurement, models: int, before: Measurement | None = None) -> Run:
    place = Place("pyproject.toml", 3, "[tool.modelbudget.default]")
    limits = {metric: parse_limit(metric, measurement.params + 1, place) for metric in ("params", "macs")}
    table = Table(default=Rules(limits))
    found = []
    for number in range(models):
        one = structs.replace(measurement, name=f"family_{number // 10}/model_{number}", named=True)
        verdict = judge(one, budget_for(table, (one.name,)), table)
        changed = differences(before, one) if before else ()
        found.append(ModelResult(Result.of(verdict, one, changed), ("test.py::test",)))
    return Run(tuple(found))


def seconds(done: Callable[[], object]) -> float:
    start = pyperf.perf_counter()
    done()
    return float(pyperf.perf_counter() - start)


def opened(browser: Browser, page: Path) -> list[float]:
    """Return the seconds until the page is painted, and until a first and a second model are drawn."""
    shown = browser.new_page(viewport={"width": 1280, "height": 900})
    shown.set_default_timeout(60_000)

    def open_page() -> None:
        shown.goto(page.as_uri())
        shown.evaluate(PAINTED)

    def open_model(number: int) -> None:
        card = shown.locator(".card").nth(number)
        card.locator("> summary").click()
        card.locator(".icicle .box").first.wait_for()

    times = [seconds(open_page), *(seconds(lambda number=number: open_model(number)) for number in (1, 2))]
    shown.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    rows = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        plain, wider = (measure(lambda more=more: uneven(more), input_size=(4, 8 + more), name="m") for more in (0, 8))
        layers = measure(even, input_size=(4, 64), name="m")
        for name, run in (
            ("no two modules alike", run_of(plain, options.models)),
            ("all of them grew", run_of(wider, options.models, plain)),
            ("400 equal layers", run_of(layers, options.models)),
        ):
            page = Path(folder) / "page.html"
            writing = seconds(lambda run=run, page=page: page.write_text(of_run(run), encoding="utf-8"))
            rounds = [opened(browser, page) for _ in range(options.rounds)]
            medians = [f"{statistics.median(times):.2f}" for times in zip(*rounds, strict=True)]
            rows.append((name, f"{page.stat().st_size / 1e6:.1f}", f"{writing:.1f}", *medians))
        browser.close()
    headings = (f"{options.models} x 2 001 modules", "MB", "write, s", "open, s", "first model, s", "second model, s")
    print(tabulate(rows, headings, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
