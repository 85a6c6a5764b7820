"""The curve of the memory that is alive, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

from pytest_modelbudget.reports.html import of_run
from pytest_modelbudget.results import Run

from .conftest import Open, complaints_of_axe
from .samples import remembered, scaled


def test_the_curve_of_memory_marks_its_peak(open_page: Open, tmp_path: Path) -> None:
    page = open_page(width=390)
    file = tmp_path / "memory.html"
    file.write_text(of_run(Run((remembered(), remembered("long", "", 3), scaled()))), encoding="utf-8")
    page.goto(file.as_uri())
    chain, long, without = (page.locator(f"#{name}") for name in ("chain", "long", "small"))
    for one in (chain, long, without):
        if one.get_attribute("open") is None:
            one.locator("> summary").click()
        one.locator(".icicle .box").first.wait_for()
    label = "1,024 B at the peak, during aten::relu in 1"
    curve = chain.get_by_role("img", name=label)
    assert curve.is_visible()
    assert curve.locator("path").get_attribute("d") == "M0 100V37.50H1V0.00H2V43.75H3V100Z"
    assert curve.locator("circle").get_attribute("cx") == "50%"
    assert chain.locator("figcaption").inner_text().endswith(f"in order: {label}")
    assert long.locator("figcaption").inner_text() == (
        "Activations that are alive during every 3 operators, the most of each, in order: "
        "1,024 B at the peak, during aten::relu in long itself"
    )
    assert without.locator(".memory").count() == 0
    assert without.get_by_role("heading", name="Memory").count() == 0
    page.emulate_media(media="print")
    assert curve.is_visible()
    page.emulate_media(media="screen")
    assert complaints_of_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    open_page.complaints.remove(file.as_uri())  # type: ignore[attr-defined]
