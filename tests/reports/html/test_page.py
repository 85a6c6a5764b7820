"""The page without a browser: what stands in its HTML, and what its scripts are given."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec import structs

from pytest_modelbudget.budgets import Problem
from pytest_modelbudget.measurement import MemoryCost
from pytest_modelbudget.names import ranges
from pytest_modelbudget.reports.html import lacks, of_run
from pytest_modelbudget.reports.html.bars import STATES, bars, table
from pytest_modelbudget.reports.html.faults import faults
from pytest_modelbudget.reports.html.nodes import decoded, nodes
from pytest_modelbudget.reports.html.page import headline, problems, where
from pytest_modelbudget.reports.html.payload import columns, compact, payload
from pytest_modelbudget.reports.html.scaling import lines
from pytest_modelbudget.results import ModelResult, Run
from pytest_modelbudget.results.run import FailedTest
from pytest_modelbudget.results.standings import Standing, standings

from .samples import (
    HOSTILE,
    everything,
    judged,
    large,
    leaf,
    measured,
    parent,
    remembered,
    scaled,
    trained,
    transformer,
)

RUN = everything()
STANDINGS = standings(RUN)
BY_NAME = {model.name: model for model in RUN.models}
STANDS = {one.verdict.model: one for one in STANDINGS}
SMALL = measured("small", transformer(2, 32, 64))


def test_every_model_has_a_word_and_a_colour() -> None:
    found = {one.name: (one.status.kind, STATES[one.status.level], one.status.text) for one in STANDINGS}
    assert found == {
        "vit_b_16": ("over", "bad", "OVER MACs 9.2%"),
        "encoder": ("grown", "bad", "GREW params 10.8%, MACs 10.1%"),
        "distilled": ("warned", "warn", "warn, params above 10 M"),
        "tablet": ("expected", "warn", "xfail: over MACs 59.0%"),
        "exotic": ("unknown_operators", "bad", "lower bound: ns::op has no formula"),
        "weights_only": ("not_measured", "bad", "not measured: MACs"),
        "unnoticed": ("unbudgeted", "plain", "no budget"),
        HOSTILE: ("within", "good", "ok, 23.1% left (MACs)"),
        "exactly": ("within", "good", "ok, at the limit (params)"),
        "lean": ("within", "good", "ok, 64.0% left (params), MACs -19.1%, params -17.9%"),
        "nothing": ("within", "good", "ok, at the limit (params)"),
        "twin": ("contradicted", "bad", "CONTRADICTED: another model has this name"),
    }


def stands(model: ModelResult) -> Standing:
    return standings(Run((model,)))[0]


def test_new_models_and_those_in_the_baseline_alone() -> None:
    known = judged(SMALL, before=SMALL)
    assert stands(known).status.text == "ok"
    fresh = structs.replace(known.verdict, baseline="new")
    assert stands(with_verdict(known, fresh)).status.text == "new"
    limited = judged(SMALL, {"params": "1M"})
    fresh = structs.replace(limited.verdict, baseline="new")
    assert stands(with_verdict(limited, fresh)).status.text.endswith(" left (params), new")


def with_verdict(model: ModelResult, verdict: object) -> ModelResult:
    return structs.replace(model, result=structs.replace(model.result, verdict=verdict))


def test_the_worst_come_first() -> None:
    names = [one.verdict.model for one in STANDINGS]
    assert names[:6] == ["vit_b_16", "encoder", "twin", "twin", "exotic", "weights_only"]
    assert names[-5:] == ["exactly", "nothing", HOSTILE, "lean", "unnoticed"]  # the least left comes first


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (RUN, ("bad", "Failed", "1 of 13 models over budget, 1 above the baseline, 2 under a name that another model has, "
               "1 with a lower bound, 1 not measured, 1 above a warning, 1 over as xfail expects, 4 within budget, "
               "1 without a budget, 3 faults of the run.")),
        (Run(), ("plain", "Nothing measured", "No model was measured.")),
        (Run(lost_workers=("gw1",)), ("bad", "Failed", "1 fault of the run.")),
        (Run((BY_NAME["exactly"],)), ("good", "Passed", "1 model within budget.")),
        (Run((BY_NAME["exactly"], BY_NAME["tablet"])),
         ("good", "Passed", "1 of 2 models over as xfail expects, 1 within budget.")),
    ],
)  # fmt: skip
def test_the_verdict_in_a_sentence(run: Run, says: tuple[str, str, str]) -> None:
    assert headline(run, standings(run)) == says


def test_bars_share_one_scale() -> None:
    macs, params = bars(STANDS["vit_b_16"])
    assert (params.label, params.value, params.limit, params.state) == ("params", "86.31 M", "100 M", "good")
    assert (params.used, params.over, params.limit_at) == ("82.86", "0.00", "96.00")
    assert (macs.note, macs.state) == ("over by 9.2%", "bad")
    assert float(macs.used) + float(macs.over) == pytest.approx(96, abs=0.01)
    assert macs.used == macs.limit_at


def test_bars_of_growth_leave_out_what_only_follows() -> None:
    params, macs = bars(STANDS["encoder"])
    assert params.note == "19.1% left, +10.8% since the baseline"
    assert (macs.label, macs.limit, macs.note) == ("MACs", "", "+10.1% since the baseline")
    assert macs.before_at is not None
    assert float(macs.before_at) < float(macs.limit_at or 0) < 96


def test_bars_of_warnings_and_of_what_was_not_measured() -> None:
    warned, _ = bars(STANDS["distilled"])
    assert (warned.note, warned.state, warned.limit_at) == ("above the warning at 10 M", "warn", None)
    (unmeasured,) = bars(STANDS["weights_only"])
    assert (unmeasured.value, unmeasured.limit, unmeasured.note, unmeasured.state) == (
        "-",
        "1 G",
        "not measured",
        "bad",
    )
    assert [bar.state for bar in bars(STANDS["tablet"])] == ["warn"]


def test_the_table_of_budgets_has_every_digit() -> None:
    (row,) = [row for row in table(STANDS["encoder"]) if row.label == "MACs"]
    assert (row.label, row.value, row.before) == ("MACs", "5,036,448,768", "4,574,026,752")
    assert row.growth == "1%, up to 4,619,767,019"
    assert table(stands(judged(SMALL, before=SMALL)))[1].growth == "0%"
    assert table(STANDS["vit_b_16"])[0].place == "pyproject.toml:12 [tool.modelbudget.models.vit_b_16]"


def test_where_a_model_is_over() -> None:
    assert [*where(STANDS["vit_b_16"])] == [
        "Heaviest by MACs: layers.*.mlp.up x12 31.8%, layers.*.mlp.down x12 31.8%, layers.*.attention.qkv x12 23.8%, "
        "+ 26 more modules with 12.7%"
    ]
    assert next(iter(where(STANDS["encoder"]))) == (
        "Since the baseline: layers.*.mlp.down Linear x12 (+1.180 M params, +231.2 M MACs)"
    )
    alone = judged(measured("alone", leaf("", "Linear", 100, 10)), {"params": 1})
    assert [*where(stands(alone))] == ["Heaviest by params: alone itself 100%"]


def test_every_problem_comes_with_what_to_do() -> None:
    found = {name: [*problems(one)] for name, one in STANDS.items()}
    assert found["weights_only"][0][0].endswith(' inputs=, or declare inputs = "..."')
    assert found["exotic"] == [
        ("lower bound: ns::op has no formula",
         "ran: ns::op in layers.0.mlp (3 calls)\n  register one: @pytest_modelbudget.formula(\"ns::op\")")
    ]  # fmt: skip
    assert found["encoder"][0][1] == "accept the growth: pytest --modelbudget-update"
    refused = judged(SMALL, unbudgeted="error")
    assert next(iter(problems(stands(refused))))[0].endswith("[tool.modelbudget.models.small]")
    untrained = judged(SMALL, {"training_macs": "1G"})
    assert "fixture" in next(iter(problems(stands(untrained))))[0]
    new = with_verdict(refused, structs.replace(refused.verdict, problems=(Problem("new", "error"),)))
    assert next(iter(problems(stands(new))))[0].endswith("accept it: pytest --modelbudget-update")


def test_the_faults_of_a_run() -> None:
    found = [(fault.state, fault.title) for fault in faults(RUN)]
    assert [state for state, _ in found] == ["bad"] * 3 + ["warn"] * 2 + ["plain"] * 3
    text = "\n".join(title for _, title in found)
    assert "Worker gw1 was lost" in text
    assert "Two different models are called twin: params " in text
    assert "500.0 M MACs ran outside of modules in tests/test_b.py::test." in text
    assert "a filter or a shard left tests out; a test under a budget" in text
    assert "Not measured, since a filter or a shard left tests out: old<b>." in text
    complete = faults(structs.replace(RUN, incomplete=()))
    assert "No test measured a model called old<b>, which pyproject.toml:30" in complete[2].title
    assert complete[2].state == "bad"
    failed = faults(Run(failed=(FailedTest("tests/test_a.py::test", "RuntimeError", by_itself=True),)))
    assert [fault.title for fault in failed] == ["tests/test_a.py::test failed by itself: RuntimeError"]
    new = with_verdict(BY_NAME["exactly"], structs.replace(BY_NAME["exactly"].verdict, baseline="new"))
    assert [fault.title for fault in faults(Run((new,)))] == [
        "Not in the baseline: exactly. Accept: pytest --modelbudget-update"
    ]


def test_layers_that_are_alike_are_one_node() -> None:
    tree = measured("t", transformer(3, 16, 32)).modules
    uneven = parent("", "Net", *tree.children, leaf("3", "Linear", 1, 1), leaf("4", "Linear", 1, 1))
    found = nodes_of(uneven)
    assert ("layers.*.mlp.{up,down}", 6) in found
    assert ("*", 2) in found
    several = parent("", "Net", *[leaf(str(key), "Linear", 1 + key // 2, 1) for key in range(4)])
    assert nodes_of(several) == [("", 1), ("{0-1}", 2), ("{2-3}", 2)]


def nodes_of(tree: object) -> list[tuple[str, int]]:
    from pytest_modelbudget.results.folding import fold

    return [(node.path, node.count) for node in nodes(fold(measured("m", tree)).modules)]  # type: ignore[arg-type]


def test_runs_of_numbers_are_short() -> None:
    assert ranges(("0", "1", "2", "5", "head", "7", "8")) == "0-2,5,head,7-8"
    assert ranges(("up", "down")) == "up,down"
    assert ranges(("tower_08", "tower_09", "tower_10", "gate")) == "tower_08-tower_10,gate"
    assert ranges(("conv", "conv1", "conv2")) == "conv,conv1-conv2"


def numbers(told_of: Any, known: dict[str, list[int]]) -> list[int]:
    if isinstance(told_of, list):
        return [int(value) for value in told_of]
    return [value * int(told_of["times"]) for value in known[told_of["like"]]]


@pytest.mark.parametrize("model", RUN.models, ids=range(len(RUN.models)))
def test_what_a_page_is_given_adds_up_exactly(model: ModelResult) -> None:
    data = columns(model)
    counts: list[int] = []
    for place, above in enumerate(data["parent"]):
        counts.append(data["many"].get(place, 1) * (counts[above] if place else 1))
    known: dict[str, list[int]] = {}
    for metric, told_of in data["own"].items():
        known[metric] = own = numbers(told_of, known)
        assert sum(value * count for value, count in zip(own, counts, strict=True)) == getattr(
            model.measurement, metric
        )
    assert json.loads(zlib.decompress(b64decode(payload(model))))["classes"] == data["classes"]


def test_the_curve_of_memory_is_given_where_it_was_measured() -> None:
    chain = remembered()
    curve = {"live": [640, 1024, 576], "stretch": 1, "operator": "aten::relu", "module": "1"}
    assert columns(chain)["memory"] == curve
    assert columns(BY_NAME["exactly"])["memory"] is None
    nothing = measured("nothing", leaf("", "Identity", 0, 0), peak_bytes=0, memory=MemoryCost(0, "", "", (), ()))
    assert columns(judged(nothing))["memory"] is None


def test_growth_is_given_to_the_modules_that_grew() -> None:
    model = BY_NAME["encoder"]
    data = columns(model)
    paths = [node.path for node in nodes(decoded(model).modules)]
    assert [change[:4] for change in data["changed"]] == [
        ["grew", "layers.*.mlp.down", "Linear", 12], ["grew", "layers.*.mlp.up", "Linear", 12],
        ["moved", "classifier", "Linear", 1],
    ]  # fmt: skip
    assert [[(paths[place], many) for place, many in change[4]] for change in data["changed"]] == [
        [("layers.*.mlp.{up,down}", 12)], [("layers.*.mlp.{up,down}", 12)], [],
    ]  # fmt: skip
    assert data["changed"][2][5:] == ["head"]


def test_differences_are_told_once_and_others_by_them() -> None:
    data = columns(BY_NAME["encoder"])
    params, *others = data["differences"]
    assert (params["changes"], params["amounts"]) == ((0, 1, 2), [1179648, 1179648, 0])
    assert {one["metric"]: one["amounts"] for one in others} == {
        "trainable_params": {"like": "params", "times": 1},
        "macs": {"like": "params", "times": 196},
        "flops": {"like": "params", "times": 392},
        "weight_bytes": {"like": "params", "times": 4},
    }
    assert [one["changes"] for one in others] == [None] * 4


def test_a_change_of_one_module_is_told_by_its_place() -> None:
    (model,) = large(1, 20, grown=True).models
    data = columns(model)
    paths = [node.path for node in nodes(decoded(model).modules)]
    changed = {paths[place] for _, place in data["changed"]}
    assert changed == {module.name for module in model.measurement.modules.walk() if not module.children}


def test_operators_state_their_costs_where_a_module_has_others() -> None:
    data = columns(trained())
    assert data["operators"] == ["aten::mm", "aten::bmm", "aten::relu"]
    shown = [[data["segment"][place], *rest] for place, *rest in data["ran"]]
    assert shown == [["two", 0, 1, 100, 400], ["two", 1, 1, 200, 500], ["one", 0, 2], ["none", 2, 1, 0]]


@pytest.mark.parametrize(
    ("values", "known", "told_as"),
    [
        ([4, 8, 0], {"params": [1, 2, 0]}, {"like": "params", "times": 4}),
        ([0, 0], {"params": [1, 2]}, {"like": "params", "times": 0}),
        ([-4, 8], {"params": [1, -2]}, {"like": "params", "times": -4}),
        ([4, 9], {"params": [1, 2]}, [4, 9]),
        ([1], {"params": [2]}, [1]),
        ([1, 2], {"params": [0, 0]}, [1, 2]),
        ([1, 0], {"params": [0, 0]}, [1, 0]),
        ([3, 6], {"params": [1, 1], "macs": [1, 2]}, {"like": "macs", "times": 3}),
        ([2**60], {"params": [1]}, {"like": "params", "times": str(2**60)}),
        ([2**60], {}, [str(2**60)]),
    ],
)
def test_numbers_that_follow_from_others(values: list[int], known: dict[str, list[int]], told_as: object) -> None:
    assert compact(values, known) == told_as


def test_numbers_that_javascript_would_round_are_text() -> None:
    assert columns(BY_NAME[HOSTILE])["own"]["macs"] == [0, str(2**61 + 1)]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_names_are_text_wherever_they_stand() -> None:
    page = _Tags()
    page.feed(of_run(RUN))
    assert not [tag for tag, attributes in page.tags if tag in ("img", "b", "i") and "onerror" in attributes]
    assert HOSTILE in page.text
    assert HOSTILE in [attributes.get("data-name") for _, attributes in page.tags]
    assert [
        attributes
        for tag, attributes in page.tags
        if attributes.get("src") or (attributes.get("href") or "#")[0] == "h"
    ] == []


def test_the_same_run_makes_the_same_page() -> None:
    assert of_run(RUN) == of_run(RUN)


def test_an_empty_run_is_a_page_too() -> None:
    assert "Nothing measured" in of_run(Run())


def test_a_model_of_2000_uneven_modules_takes_little_room() -> None:
    (model,) = large(1).models
    assert len(model.measurement.operators) > 1000
    assert len(payload(model)) < 40_000


def test_a_model_of_2000_modules_that_all_grew_takes_little_room() -> None:
    (model,) = large(1, grown=True).models
    assert [len(one.changes) for one in model.differences] == [1600] * 5
    assert len(payload(model)) < 60_000


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacks() is None
    monkeypatch.setattr("pytest_modelbudget.reports.html.find_spec", lambda name: None)
    assert lacks() == 'needs jinja2: pip install "pytest-modelbudget[html]"'


def test_limits_for_parts_and_growth_with_the_inputs_are_on_the_page() -> None:
    model = scaled()
    page = of_run(Run((model,)))
    assert "no module of small matches" in page
    assert "MACs grow as n^2.00, linear allowed" in page
    (bar,) = bars(stands(model))
    assert (bar.state, bar.label) == ("bad", "* x3 params")
    assert bar.label in page
    assert len(table(stands(model))) == len(model.verdict.checks) + 1


def test_what_grows_with_the_inputs_is_a_line_beside_what_is_allowed() -> None:
    (line,) = lines(stands(scaled()))
    first, last = line.dots
    assert (line.state, line.declared, first.size, last.size) == ("bad", "linear", "1", "2")
    assert [(first.x, first.y), (last.x, last.y)] == [("0.0", "130.0"), ("320.0", "0.0")]
    assert line.allowed == "65.0"
    (expected,) = lines(stands(structs.replace(scaled(), excused=True)))
    assert expected.state == "warn"
    (flat,) = lines(stands(scaled(times=1)))
    assert (flat.state, flat.dots[1].y, flat.allowed) == ("good", "130.0", "0.0")
    assert [*lines(stands(scaled(times=0)))] == []
