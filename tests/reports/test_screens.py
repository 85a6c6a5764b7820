"""Whole screens of the summary, compared with the files in ``screens/``: at 80 columns, and at others.

``UPDATE_SCREENS=1 pytest tests/reports`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from wcwidth import wcswidth

from pytest_modelbudget.budgets import Limit, Place, Rules, Table, budget_for, judge, parse_limit
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost
from pytest_modelbudget.reports.markdown import of_run
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import ModelResult, Result, Run

SCREENS = Path(__file__).parent / "screens"


def model(name: str, params: int, macs: int | None, limits: dict[str, object], **more: object) -> ModelResult:
    flops = None if macs is None else 2 * macs
    training = {key: more[key] for key in ("training_macs", "training_flops") if key in more}
    layer = Costs(params, params, macs, flops, weight_bytes=4 * params, **training)  # type: ignore[arg-type]
    nothing = Costs(macs=macs and 0, flops=macs and 0, **dict.fromkeys(training, 0))  # type: ignore[arg-type]
    tree = ModuleCost("", "Net", 1, nothing, layer, (), (ModuleCost("layer", "Linear", 1, layer, layer),))
    place = Place("pyproject.toml", 7, f"[tool.modelbudget.models.{name}]")
    warns = {key.removeprefix("warn_"): limits.pop(key) for key in [*limits] if key.startswith("warn_")}

    def declared(values: dict[str, object]) -> dict[str, Limit | None]:
        return {metric: parse_limit(metric, value, place) for metric, value in values.items()}

    policies = {key: more.pop(key) for key in ("unbudgeted", "unknown_ops") if key in more}
    excused = bool(more.pop("excused", False))
    measured = Measurement(name, params, params, 4 * params, tree, macs, flops, run="shape", **more)  # type: ignore[arg-type]
    table = Table(models={name: Rules(declared(limits), declared(warns))}, **policies)  # type: ignore[arg-type]
    verdict = judge(measured, budget_for(table, (name,)), table)
    return ModelResult(Result.of(verdict, measured), ("test_models.py::test",), excused)


RESNET = model("resnet50", 25_557_032, 4_089_184_256, {"params": "25.6M", "macs": "4.1G"})
VIT = model("vit_b_16", 86_567_656, 17_563_828_224, {"macs": "17.0G"})
MOBILE = model("mobilenetv2", 3_504_872, 300_774_272, {"params": "3.6M", "macs": "310M", "weight_bytes": "15 MB"})
UNKNOWN = (OperatorCost("ns::op", "layer", 1, 0),)
MANY = [
    model(f"family_{index // 10}/model_{index}", 1_000_000 * (index + 1), 10**9 + index * 10**7, {"macs": "2.95G"})
    for index in range(200)
]
STATES = [
    model("exact", 25_557_033, 1000, {"params": 25_557_032}),
    model("equal", 25_557_032, 1000, {"params": 25_557_032}),
    model("near", 4_100_000_001, 1000, {"params": "4.1G"}),
    model("twice", 200, 200, {"params": 100, "macs": 150}),
    model("nothing_allowed", 200, 0, {"params": 0}),
    model("warned", 200, 200, {"params": "1K", "warn_params": 150}),
    model("only_warned", 200, 200, {"warn_params": 250}),
    model("bare", 200, None, {}),
    model("bare_warned", 200, None, {}, unbudgeted="warn"),
    model("bare_refused", 200, None, {}, unbudgeted="error"),
    model("unchecked", 200, None, {"macs": "1G"}),
    model("expected", 200, 200, {"params": 100}, excused=True),
    model("unknown", 200, 200, {"params": 300}, unknown=UNKNOWN),
    model("tolerated", 200, 200, {"params": 300}, unknown=UNKNOWN, unknown_ops="warn"),
    model("trained", 200, 200, {"params": 300}, training_macs=600, training_flops=1200),
]
LONG = [RESNET, model("a_model_with_a_name_that_is_" + "very_" * 14 + "long", 10**9, 10**12, {"macs": "2T"}), VIT]
WIDE = [model("exactly", 25_557_033, 25_557_033, {"params": 25_557_032, "macs": 25_557_032, "flops": 51_114_065})]

CJK = [model("図書館モデル", 25_557_032, 4_089_184_256, {"params": "25.6M"}), RESNET]
BILLIONS = [
    model("llama", 1_100_048_384, 133_882_183_680, {"params": "1.2B"}),
    model("o", 7_000_000_001, 1, {"params": "7B"}),
]

CASES = {
    "one": ([RESNET], 80, 0),
    "three": ([RESNET, VIT, MOBILE], 80, 0),
    "three_quiet": ([RESNET, VIT, MOBILE], 80, -1),
    "three_verbose": ([RESNET, VIT, MOBILE], 80, 1),
    "three_wide": ([RESNET, VIT, MOBILE], 120, 0),
    "three_narrow": ([RESNET, VIT, MOBILE], 50, 0),
    "three_narrowest": ([RESNET, VIT, MOBILE], 40, 1),
    "three_widest": ([RESNET, VIT, MOBILE], 200, 1),
    "wide_letters": (CJK, 80, 0),
    "billions": (BILLIONS, 80, 0),
    "many": (MANY, 80, 0),
    "many_quiet": (MANY, 80, -1),
    "states": (STATES, 80, 0),
    "states_quiet": (STATES, 80, -1),
    "long_name": (LONG, 80, 0),
    "exact_everywhere": (WIDE, 80, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_whole_screen(name: str) -> None:
    models, width, verbosity = CASES[name]
    lines = summary(Run(tuple(models)), width, verbosity)
    assert all(wcswidth(line.text + line.status) <= width for line in lines)
    colours = {"": " ", "green": "+", "yellow": "!", "red": "x"}
    screen = "".join(f"{colours[line.colour]} {line.text}{line.status}".rstrip() + "\n" for line in lines)
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen, encoding="utf-8")
    assert screen == path.read_text(encoding="utf-8")


def test_contradicted_models_are_not_within_budget() -> None:
    twice = (model("net", 200, 200, {"params": "1K"}), model("net", 300, 300, {"params": "1K"}), RESNET)
    screen = "\n".join(line.text + line.status for line in summary(Run(twice, contradicting=((0, 1),)), 100))
    assert screen.count("CONTRADICTED: another model has this name") == 2
    assert "2 of 3 models under a name that another model has, 1 within budget" in screen


def test_markdown_counts_as_the_screen_does() -> None:
    twice = (model("net", 200, 200, {"params": "1K"}), model("net", 300, 300, {"params": "1K"}), RESNET)
    text = of_run(Run(twice, contradicting=((0, 1),)))
    assert text.startswith("## Model budgets: 2 of 3 models fail, 1 fault of the run\n")
    assert text.count("**CONTRADICTED: another model has this name**") == 2
    assert "<details><summary>1 other model</summary>" in text
    text = of_run(Run((RESNET, model("bare", 200, None, {}))))
    assert text.startswith("## Model budgets: 1 of 2 models within budget, 1 without a budget\n")
    assert "|bare|200|-|-|no budget|" in text
    assert of_run(Run((model("unchecked", 200, None, {"macs": "1G"}),))).startswith(
        "## Model budgets: 1 of 1 model fails\n"
    )
    assert of_run(Run(lost_workers=("gw0",))).startswith("## Model budgets: 1 fault of the run\n")


def test_letters_that_a_screen_lacks_are_escaped_within_their_column() -> None:
    lines = summary(Run((CJK[0], model("größe", 1, 1, {}))), 100, encoding="latin-1")
    assert [line.text.index("25.56 M") for line in lines if "25.56 M" in line.text] == [len("\\u56f3" * 6) + 2]
    assert any(line.text.startswith("größe ") for line in lines)


def test_names_are_cut_in_the_middle_and_no_line_is_too_long() -> None:
    for models, _, _ in CASES.values():
        for width in (40, 60, 80, 120):
            lines = summary(Run(tuple(models)), width)
            assert all(wcswidth(line.text + line.status) <= width for line in lines)
    rows = [line.text for line in summary(Run((LONG[1],)), 80)]
    assert any(row.startswith("a_model_with") and "…" in row and "very_long  " in row for row in rows)


def test_quiet_says_nothing_where_all_is_well() -> None:
    assert summary(Run((RESNET, MOBILE)), 80, -1) == []


@pytest.mark.parametrize("width", [1, 8, 13])
def test_a_screen_that_is_too_narrow_for_anything_shows_the_verdicts(width: int) -> None:
    rows = [line.status for line in summary(Run((RESNET, VIT, MOBILE)), width) if line.status]
    assert rows == ["OVER", "ok", "ok"]
