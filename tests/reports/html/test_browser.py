"""The page in a real Chromium: what people see, press, find and print, and that nothing leaves it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest

from pytest_modelbudget.measurement import exactly, human, percent
from pytest_modelbudget.reports.html import of_run
from pytest_modelbudget.reports.html.page import words_of_metrics
from pytest_modelbudget.reports.html.payload import columns
from pytest_modelbudget.results import About, ModelResult, Run
from pytest_modelbudget.results.standings import standings

from .conftest import Open, complaints_of_axe
from .samples import HOSTILE, everything, judged, large, leaf, measured, parent, scaled, trained

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PLACES = {one.verdict.model: place for place, one in enumerate(standings(everything()))}


def card(page: Page, name: str, *, opened: bool = True) -> Locator:
    """Return the card of a model, drawn."""
    found = page.locator(".card").nth(PLACES[name])
    if opened and found.get_attribute("open") is None:
        found.locator("> summary").click()
    if opened:
        found.locator(".icicle .box").first.wait_for()
    return found


def column(table: Locator, number: int) -> list[str]:
    return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def modules(found: Locator) -> Locator:
    return found.get_by_role("region", name="Modules of").locator("table")


def boxes(found: Locator) -> list[str]:
    """Return what the boxes of the chart are called."""
    return [text.partition("\n")[0] for text in found.locator(".icicle .box > title").all_text_contents()]


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.getAttribute('aria-label')")  # type: ignore[no-any-return]


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")  # type: ignore[no-any-return]


def test_it_says_at_once_which_model_is_over_by_how_much_and_where(open_page: Open) -> None:
    page = open_page()
    assert page.locator("h1").inner_text() == "Failed model budgets of house <b>"
    about = "commit 0123456789ab · 2026-11-30 16:20:02 UTC · torch 2.13.0 · pytest-modelbudget 1.0"
    assert page.locator(".about").inner_text() == about
    assert page.locator(".card[open]").count() == 1
    assert page.evaluate("scrollY") == 0
    first = page.locator(".card").first
    assert first.get_attribute("open") is not None
    assert first.locator(".status").inner_text().startswith("OVER MACs 9.2%")
    assert "layers.*.mlp.up x12 31.8%" in first.locator(".where").inner_text()
    edge = first.locator(".bars").bounding_box()
    assert edge is not None
    assert edge["y"] < 900


def test_without_scripts_the_budgets_are_there(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    assert page.locator(".card").count() == 13
    assert page.locator(".tools").is_hidden()
    assert page.locator("noscript p").is_visible()


@pytest.mark.parametrize("url", ["data:text/plain,x", "http://127.0.0.1:9/", "https://127.0.0.1:9/"])
def test_nothing_can_be_loaded(open_page: Open, url: str) -> None:
    page = open_page()
    assert page.evaluate("url => fetch(url).then(() => 'loaded', () => 'blocked')", url) == "blocked"
    complaints = open_page.complaints  # type: ignore[attr-defined]
    assert any("Content Security Policy" in one for one in complaints)
    complaints.clear()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://127.0.0.1:9/", "file:///nowhere"])
def test_what_is_loaded_all_the_same_would_be_seen(open_page: Open, url: str) -> None:
    page = open_page(bypass_csp=True)
    page.evaluate("url => fetch(url).catch(() => 'failed')", url)
    complaints = open_page.complaints  # type: ignore[attr-defined]
    assert any(url in one for one in complaints)
    complaints.clear()


def test_modules_are_sorted_by_their_heads(open_page: Open) -> None:
    table = modules(card(open_page(), "vit_b_16"))
    assert column(table, 1)[:2] == ["layers.*.mlp.{up,down}", "layers.*.attention.qkv"]
    table.get_by_role("button", name="class").click()
    assert column(table, 2) == sorted(column(table, 2), key=str.lower)
    assert table.locator("th[aria-sort]").all_inner_texts() == ["class"]
    table.get_by_role("button", name="params").click()
    assert table.locator("th[aria-sort=descending]").inner_text() == "params"
    assert column(table, 6)[:2] == ["56.62 M", "21.23 M"]
    table.get_by_role("button", name="params").click()
    assert column(table, 6)[-1] == "56.62 M"


def test_modules_tell_the_shapes_of_their_outputs(open_page: Open) -> None:
    table = modules(card(open_page(), "vit_b_16"))
    table.get_by_role("button", name="output").click()
    assert (column(table, 1)[-1], column(table, 9)[-1]) == ("stem", "1x768x14x14, scalar")


def test_modules_are_found_by_name_and_class(open_page: Open) -> None:
    found = card(open_page(), "vit_b_16")
    find = found.get_by_role("searchbox", name="Find").first
    find.fill("attention")
    assert sorted(column(modules(found), 1)) == [
        "layers.*.attention",
        "layers.*.attention.out",
        "layers.*.attention.qkv",
    ]
    assert found.get_by_text("3 of 11 modules").is_visible()
    find.fill("layernorm")
    assert column(modules(found), 1) == ["layers.*.norm"]


def test_what_is_below_is_counted_on_request(open_page: Open) -> None:
    found = card(open_page(), "vit_b_16")
    found.get_by_label("with everything below").check()
    assert column(modules(found), 1)[0] == "vit_b_16 itself"
    assert column(modules(found), 7)[0] == human(17_471_649_792)


def test_the_metric_of_the_chart_is_switched(open_page: Open) -> None:
    found = card(open_page(), "encoder")
    assert boxes(found)[:3] == ["stem", "layers.* x12", "attention"]
    button = found.get_by_role("group").get_by_role("button", name="growth of params")
    button.click()
    assert modules(found).get_by_role("button", name="share of growth of params").is_visible()
    assert (
        found.locator(".icicle > svg")
        .get_attribute("aria-label")
        .startswith("Icicle of the growth of params of layers.*.mlp.{up,down}: ")
    )
    assert boxes(found) == ["{up,down} x2"]
    assert button.get_attribute("aria-pressed") == "true"


def test_the_chart_is_entered_and_left_from_the_table_and_the_crumbs(open_page: Open) -> None:
    page = open_page()
    found = card(page, "vit_b_16")
    modules(found).get_by_role("button", name="layers.*.attention", exact=True).press("Enter")
    assert boxes(found) == ["qkv", "out", "by itself"]
    assert column(modules(found), 1) == ["layers.*.attention.qkv", "layers.*.attention.out", "layers.*.attention"]
    crumbs = found.get_by_role("navigation")
    way = ["vit_b_16", "\u203a", "layers", "\u203a", "*", "x12", "\u203a", "attention", "6.257", "G", "MACs"]
    assert crumbs.inner_text().split() == way
    crumbs.get_by_role("button", name="vit_b_16").press("Enter")
    assert boxes(found)[0] == "layers.* x12"
    assert "stem" in column(modules(found), 1)


def test_the_chart_is_walked_by_keyboard(open_page: Open) -> None:
    page = open_page()
    found = card(page, "vit_b_16")
    assert found.locator(".icicle [tabindex='0']").count() == 1
    found.locator(".icicle [tabindex='0']").focus()
    assert focused(page).startswith("layers.* x12, 99.3% Block, 17.36 G (17,355,276,288)")
    for key, name in (
        ("ArrowDown", "2 smaller ones, "),
        ("Enter", "2 smaller ones, "),
        ("ArrowUp", "layers.* x12, "),
        ("ArrowRight", "attention, "),
        ("ArrowDown", "mlp.{up,down} x2, "),
        ("ArrowUp", "attention, "),
        ("Enter", "qkv, "),
        ("ArrowUp", "qkv, "),
        ("Escape", "attention, "),
        ("ArrowLeft", "attention, "),
        ("Escape", "layers.* x12, "),
    ):
        page.keyboard.press(key)
        assert focused(page).startswith(name), key
    assert found.locator(".icicle [tabindex='0']").count() == 1


def test_the_chart_is_entered_by_a_click(open_page: Open) -> None:
    found = card(open_page(), "vit_b_16")
    found.locator(".icicle .box", has_text="attention").first.click()
    assert boxes(found) == ["qkv", "out", "by itself"]
    assert found.get_by_role("navigation").get_by_role("button", name="vit_b_16").is_visible()
    found.get_by_role("button", name="Show all modules").click()
    assert boxes(found)[0] == "layers.* x12"


def test_the_chart_is_whole_on_every_width(open_page: Open) -> None:
    page = open_page()
    chart = card(page, "vit_b_16").locator(".icicle")
    for width in (1280, 700, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="print" if width == 700 else "screen")
        whole = chart.bounding_box()
        edges = [one.bounding_box() for one in chart.locator(".box rect").all()]
        assert whole is not None
        right = max(edge["x"] + edge["width"] for edge in edges if edge)
        assert right == pytest.approx(whole["x"] + whole["width"], abs=1)
        assert max(edge["y"] + edge["height"] for edge in edges if edge) <= whole["y"] + whole["height"] + 1


def test_everything_is_reached_by_keyboard(open_page: Open) -> None:
    page = open_page()
    page.locator(".sort").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # closes the model that was open
    assert page.locator(".card").first.get_attribute("open") is None
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    second = page.locator(".card").nth(1)
    second.locator(".icicle .box").first.wait_for()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    assert second.evaluate("card => card.contains(document.activeElement)")


def test_models_are_found_filtered_and_sorted(open_page: Open) -> None:
    page = open_page()
    shown = page.locator(".card:not([hidden]) .name bdi")
    page.locator(".find").fill("LEA")
    assert shown.all_inner_texts() == ["lean"]
    assert page.locator(".found").inner_text() == "1 of 13 models"
    page.locator(".find").fill("")
    page.get_by_role("button", name="1 above the baseline").click()
    page.get_by_role("button", name="1 above a warning").click()
    assert shown.all_inner_texts() == ["encoder", "distilled"]
    page.get_by_role("button", name="1 above the baseline").click()
    page.get_by_role("button", name="1 above a warning").click()
    page.locator(".sort").select_option("macs")
    assert shown.all_inner_texts()[:2] == [HOSTILE, "vit_b_16"]
    page.locator(".sort").select_option("name")
    assert shown.all_inner_texts()[1] == "distilled"
    page.locator(".sort").select_option("")
    assert shown.all_inner_texts()[0] == "vit_b_16"


def test_operators_say_what_has_no_formula(open_page: Open) -> None:
    found = card(open_page(), "exotic")
    table = found.get_by_role("region", name="Operators of").locator("table")
    assert "ns::op without a formula" in column(table, 1)
    assert "unknown" in column(table, 4)
    found.get_by_label("module by module").check()
    assert "layers.0.mlp.{up,down} x2" in column(table, 2)


def test_what_changed_since_the_baseline(open_page: Open) -> None:
    page = open_page()
    found = card(page, "encoder")
    assert found.locator("details:not(.tests) > summary").all_inner_texts() == [
        "params +2.359 M", "MACs +462.4 M", "weight bytes +9.437 MB"
    ]  # fmt: skip
    found.locator("details:not(.tests) > summary").first.click()
    assert found.locator(".changes").first.inner_text().splitlines() == [
        "layers.*.mlp.down Linear x12: +1.180 M", "layers.*.mlp.up Linear x12: +1.180 M", "head is now classifier",
    ]  # fmt: skip
    assert "layers.4 Block: gone, -786.9 K" in card(page, "lean").locator(".changes").first.text_content()


def test_many_changes_begin_with_the_largest(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    long = tmp_path / "long.html"
    long.write_text(of_run(large(1, 200, grown=True)), encoding="utf-8")
    page.goto(long.as_uri())
    found = page.locator(".card").first
    found.locator(".icicle .box").first.wait_for()
    changes = found.locator(".changes").first.locator("li")
    assert changes.count() == 12
    more = found.get_by_role("button", name="148 more changes (+")
    assert more.first.inner_text().startswith("Show 148 more")
    page.emulate_media(media="print")
    assert more.first.inner_text().startswith("148 more changes (+")
    page.emulate_media(media="screen")
    more.first.focus()
    page.keyboard.press("Enter")
    assert changes.count() == 160
    assert page.evaluate("document.activeElement.textContent") == changes.nth(12).text_content()
    assert more.count() == 0
    open_page.complaints.remove(long.as_uri())  # type: ignore[attr-defined]


def test_long_tables_say_how_many_rows_follow_in_print_too(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    long = tmp_path / "long.html"
    long.write_text(of_run(large(1, 200)), encoding="utf-8")
    page.goto(long.as_uri())
    found = page.locator(".card").first
    found.locator("> summary").click()
    found.locator(".icicle .box").first.wait_for()
    assert modules(found).locator("tbody tr").count() == 100
    page.emulate_media(media="print")
    assert found.locator("button.more").inner_text() == "102 more modules"
    assert found.locator("button.more").is_visible()
    page.emulate_media(media="screen")
    found.get_by_role("button", name="Show 102 more modules").press("Enter")
    assert modules(found).locator("tbody tr").count() == 202
    assert page.evaluate("document.activeElement.rowIndex") == 101
    open_page.complaints.remove(long.as_uri())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "model",
    [*everything().models, *large(1, 100, grown=True).models, trained()],
    ids=range(len(everything().models) + 2),
)
def test_the_scripts_sum_up_to_what_was_measured(open_page: Open, model: ModelResult) -> None:
    assets = files("pytest_modelbudget.reports.html").joinpath("assets")
    texts = [assets.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in ("numbers", "model")]
    scripts = "\n".join([words_of_metrics(), *texts])
    totals = open_page().evaluate(
        f"""data => {{ {scripts}
        const model = unpacked(data);
        const sum = (of) => model.ran.reduce((sum, one) => sum + (of(one) || 0n) * BigInt(model.rows[one.place].count), 0n);
        const sums = Object.entries(model.rows[0].total).map(([metric, value]) => [metric, String(value)]);
        const ran = {{ ran: String(sum((one) => one.macs)), trained: String(sum((one) => one.training)) }};
        return {{ ...ran, ...Object.fromEntries(sums) }}; }}""",
        json.loads(json.dumps(columns(model))),
    )
    measurement = model.measurement
    assert int(totals.pop("ran")) == sum(one.macs for one in measurement.operators)
    assert int(totals.pop("trained")) == sum(one.training_macs or 0 for one in measurement.operators)
    kept = {f"growth of {one.metric}": sum(change.amount for change in one.changes if change.kind != "vanished")
            for one in model.differences}  # fmt: skip
    expected = {metric: value for metric, value in measurement.values().items() if value is not None} | kept
    assert {metric: int(value) for metric, value in totals.items()} == expected


def test_a_model_without_inputs_shows_its_params(open_page: Open) -> None:
    page = open_page()
    found = page.locator(".card").nth(PLACES["weights_only"])
    found.locator("> summary").click()
    found.locator(".icicle .box").first.wait_for()
    assert found.get_by_text("No operator was counted.").is_visible()


def test_a_model_that_costs_nothing(open_page: Open) -> None:
    page = open_page()
    found = page.locator(".card").nth(PLACES["nothing"])
    found.locator("> summary").click()
    found.get_by_text("Nothing in this model costs anything.").wait_for()
    assert column(modules(found), 1) == ["nothing itself"]


def test_growth_is_offered_where_something_grew(open_page: Open) -> None:
    page = open_page()
    assert card(page, "lean").get_by_role("button", name="growth of").count() == 0
    assert card(page, "encoder").get_by_role("group").get_by_role("button", name="growth of").count() == 3


@pytest.mark.parametrize("name", [HOSTILE])
def test_names_are_shown_as_they_are(open_page: Open, name: str) -> None:
    page = open_page()
    found = card(page, name)
    assert found.locator(".name bdi").text_content() == name
    assert f"{name.replace('.', '')}" in modules(found).locator("bdi").all_text_contents()
    assert page.locator("img").count() == 0
    assert modules(found).locator("td[title='2,305,843,009,213,693,953']").count() == 1
    assert found.locator(".icicle b, .icicle img").count() == 0


def test_light_and_dark(open_page: Open) -> None:
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    assert background(light) == "rgb(245, 246, 248)"
    assert background(dark) == "rgb(14, 17, 22)"
    found = card(light, "vit_b_16")
    box = found.locator(".icicle .box rect").first
    before = box.evaluate("box => getComputedStyle(box).fill")
    light.get_by_role("button", name="Switch to dark").click()
    assert background(light) == background(dark)
    assert box.evaluate("box => getComputedStyle(box).fill") != before
    light.get_by_role("button", name="Switch to light").click()
    assert background(light) == "rgb(245, 246, 248)"


def test_print_is_light_and_has_no_controls(open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    card(page, "vit_b_16")
    page.emulate_media(media="print")
    assert page.locator(".tools").is_hidden()
    assert page.locator(".theme").is_hidden()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert page.locator(".bars").first.is_visible()
    assert page.pdf(format="A4")[:4] == b"%PDF"


def test_a_phone_is_wide_enough(open_page: Open) -> None:
    page = open_page(width=390)
    for name in ("vit_b_16", "encoder", HOSTILE):
        card(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("fragment", "place"),
    [
        ("#lean", PLACES["lean"]),
        ("#twin", PLACES["twin"] - 1),
        ("#twin-2", PLACES["twin"]),
        (f"#{quote(HOSTILE, safe='')}", PLACES[HOSTILE]),
    ],
)
def test_a_link_opens_a_model_by_its_name(open_page: Open, fragment: str, place: int) -> None:
    page = open_page(fragment)
    found = page.locator(".card").nth(place)
    found.locator(".icicle .box").first.wait_for()
    assert found.evaluate("card => Math.abs(card.getBoundingClientRect().top) < innerHeight")
    href = found.get_by_role("link", name="link to this model").get_attribute("href")
    assert href is not None
    assert unquote(href) == unquote(fragment)


@pytest.mark.parametrize("fragment", ["#nobody", "#100%", "#%41%"])
def test_a_link_to_no_model_opens_the_first(open_page: Open, fragment: str) -> None:
    assert open_page(fragment).locator(".card[open]").count() == 1


def test_what_is_searched_and_not_there_is_said(open_page: Open) -> None:
    page = open_page()
    found = card(page, "vit_b_16")
    found.get_by_role("searchbox", name="Find").first.fill("nothing like it")
    assert found.get_by_text("no module matches").is_visible()
    page.locator(".find").fill("nothing like it")
    assert page.get_by_text("no model matches").is_visible()


def test_modules_that_cost_nothing_are_folded(open_page: Open) -> None:
    page = open_page()
    found = card(page, "vit_b_16")
    names = column(modules(found), 1)
    assert "vit_b_16 itself" in names
    assert "layers.*.mlp" not in names
    found.get_by_role("button", name="modules, which cost nothing").press("Enter")
    assert {*column(modules(found), 1)} - {*names} == {"layers", "layers.*", "layers.*.mlp"}
    assert page.evaluate("document.activeElement.rowIndex") > 0


def test_long_names_break_on_a_phone(open_page: Open, tmp_path: Path) -> None:
    page = open_page(width=390)
    name = "n" * 150
    tree = parent(
        "", "C" * 150, leaf(name, "L" * 150, 10, 100), parent("x" * 150, "P", leaf(f"{'x' * 150}.y", "L", 1, 9))
    )
    over = judged(measured(name, tree), {"macs": "1"}, message="m" * 150)
    long = tmp_path / "long.html"
    long.write_text(of_run(Run((over,), about=About("p" * 150, "c" * 40))), encoding="utf-8")
    page.goto(long.as_uri())
    page.locator(".icicle .box").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".icicle .box").nth(1).press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    open_page.complaints.remove(long.as_uri())  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"width": 390}], ids=str)
def test_axe_finds_nothing_serious(open_page: Open, tmp_path: Path, options: dict[str, Any]) -> None:
    page = open_page(**options)
    for name in ("vit_b_16", "encoder", "exotic", HOSTILE):
        card(page, name)
    assert complaints_of_axe(page) == []
    file = tmp_path / "scaled.html"
    file.write_text(of_run(Run((scaled(),))), encoding="utf-8")
    page.goto(file.as_uri())
    page.locator(".icicle .box").first.wait_for()
    assert page.get_by_role("img", name="MACs grow as n^2.00, linear allowed: ").is_visible()
    assert complaints_of_axe(page) == []
    open_page.complaints.remove(file.as_uri())  # type: ignore[attr-defined]


def test_numbers_are_worded_as_everywhere(open_page: Open) -> None:
    values = [0, 1, 9_999, 10_000, 99_999, 999_949, 999_950, 999_999, 25_557_032, 4_089_184_256, 10**15, 10**18 - 1,
              10**18, 10**20 + 7, -462_422_016, 2**53 + 1]  # fmt: skip
    numbers = files("pytest_modelbudget.reports.html").joinpath("assets/numbers.js")
    script = f"{words_of_metrics()}\n{numbers.read_text(encoding='utf-8')}"
    shown = "[human(one, 'macs'), human(one, 'weight_bytes'), exactly(one, 'weight_bytes')]"
    body = f"values.map(BigInt).map(one => {shown})"
    found = open_page().evaluate(f"values => {{ {script}; return {body}; }}", [str(value) for value in values])
    assert found == [[human(one, "macs"), human(one, "weight_bytes"), exactly(one, "weight_bytes")] for one in values]
    pairs = [(0, 0), (0, 5), (1, 10**6), (1, 2000), (1, 3), (5, 5), (30, 7)]
    body = "pairs.map(([one, other]) => percent(BigInt(one), BigInt(other)))"
    assert open_page().evaluate(f"pairs => {{ {script}; return {body}; }}", pairs) == [percent(*pair) for pair in pairs]
