"""The formats of other tools, each read back by the rules of its consumer."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.measurement import TensorSpec
from pytest_modelbudget.reports.exports import bencher, benchmark, code_quality, metrics, spreadsheet
from pytest_modelbudget.reports.html.page import render
from pytest_modelbudget.reports.markdown import escaped, of_comparison, of_run
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.comparing import compare
from pytest_modelbudget.results.standings import standings

from .test_screens import RESNET, STATES, VIT, model

HOSTILE = model('a"b\\c', 200, 400, {"macs": 300})
RUN = Run((RESNET, VIT, HOSTILE, *STATES))


def test_a_spreadsheet_has_a_row_for_each_metric() -> None:
    rows = list(csv.DictReader(io.StringIO(spreadsheet(RUN), newline="")))
    vit = [row for row in rows if (row["model"], row["metric"]) == ("vit_b_16", "macs")]
    assert vit == [
        {
            "model": "vit_b_16",
            "inputs": "no inputs",
            "mode": "",
            "module": "",
            "metric": "macs",
            "value": "17563828224",
            "limit": "17000000000",
            "warn": "",
            "baseline": "",
            "allowed": "",
            "problem": "over",
        }
    ]
    assert {row["model"] for row in rows} == {model.name for model in RUN.models}
    assert [(row["metric"], row["problem"]) for row in rows if row["model"] == "unknown"][-1] == (
        "",
        "unknown_operators",
    )


def test_openmetrics() -> None:
    *lines, last = metrics(RUN).splitlines()
    assert last == "# EOF"
    assert all(
        re.fullmatch(r'modelbudget_[a-z_]+\{model="(?:[^"\\]|\\.)*",inputs="[^"]*"\} \d+', line) for line in lines
    )
    assert 'modelbudget_macs{model="resnet50",inputs="no inputs"} 4089184256' in lines
    assert 'modelbudget_macs{model="a\\"b\\\\c",inputs="no inputs"} 400' in lines
    assert lines == sorted(lines)
    assert len(set(lines)) == len(lines)


def test_code_quality() -> None:
    findings = json.loads(code_quality(RUN))
    for one in findings:
        assert set(one) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert one["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert one["location"] == {
            "path": one["location"]["path"],
            "lines": {"begin": one["location"]["lines"]["begin"]},
        }
        assert not one["location"]["path"].startswith("/")
    assert len({one["fingerprint"] for one in findings}) == len(findings)
    (vit,) = [one for one in findings if one["description"].startswith("vit_b_16")]
    assert vit["description"] == "vit_b_16: OVER MACs 3.3%; MACs 17.56 G / 17.0 G"
    assert (vit["location"], vit["severity"]) == ({"path": "pyproject.toml", "lines": {"begin": 7}}, "major")


def test_inputs_of_the_same_shapes_are_told_apart() -> None:
    at = [
        (TensorSpec("args[0]", (1, 100), "float32"),),
        (TensorSpec("args[0]", (1, 100), "int64"),),
        (TensorSpec("x", (1, 100), "float32"),),
        (TensorSpec("args[0]", (4, 100), "float32"),),
    ]
    run = Run(tuple(model("net", 200, 200, {"params": 100}, inputs=inputs) for inputs in at))
    words = ["args[0] 1x100 float32", "args[0] 1x100 int64", "x 1x100 float32", "4x100"]
    names = [f"net ({inputs})" for inputs in words]
    assert [one.name for one in standings(run)] == names
    assert [*json.loads(bencher(run))] == names
    assert [one["name"] for one in json.loads(benchmark(run)) if one["name"].endswith(" macs")] == [
        f"{name} macs" for name in names
    ]
    assert len({one["fingerprint"] for one in json.loads(code_quality(run))}) == len(names)
    series = [line.rpartition(" ")[0] for line in metrics(run).splitlines()[:-1]]
    assert len(set(series)) == len(series)
    read = csv.DictReader(io.StringIO(spreadsheet(run), newline=""))
    assert [row["inputs"] for row in read if row["metric"] == "macs"] == words
    assert all(escaped(name) in of_run(run) for name in names)
    page = render(run)
    assert all(f">{inputs}<" in page for inputs in words)


def test_a_fingerprint_does_not_depend_on_the_value() -> None:
    larger = Run((model("vit_b_16", 86_567_656, 18_000_000_000, {"macs": "17.0G"}),))
    (one,), (other,) = json.loads(code_quality(Run((VIT,)))), json.loads(code_quality(larger))
    assert one["fingerprint"] == other["fingerprint"]
    assert one["description"] != other["description"]


def test_github_action_benchmark() -> None:
    found = json.loads(benchmark(RUN))
    for one in found:
        assert set(one) == {"name", "value", "unit"}
        assert [type(one[key]) for key in ("name", "value", "unit")] == [str, int, str]
    assert {"name": "resnet50 macs", "value": 4089184256, "unit": "MACs"} in found


def test_bencher() -> None:
    found = json.loads(bencher(RUN))
    assert found["resnet50"]["macs"] == {"value": 4089184256, "upper_value": 4100000000}
    assert found["resnet50"]["flops"] == {"value": 8178368512}
    assert all(type(measure["value"]) is int for measures in found.values() for measure in measures.values())


def test_nothing_measured() -> None:
    assert metrics(Run()) == "# EOF\n"
    assert [json.loads(one(Run())) for one in (code_quality, benchmark, bencher)] == [[], [], {}]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("@octocat", "@<!-- -->octocat"),
        ("a@b.example", "a@<!-- -->b.example"),
        ("net #123", "net \\#<!-- -->123"),
        ("a/b#1", "a/b\\#<!-- -->1"),
        (":tada:", ":<!-- -->tada:"),
        ("macs: 4 of 5: ok", "macs: 4 of 5: ok"),
        ("https://x.example/a", "https:<!-- -->//x.example/a"),
        ("HTTP://x.example", "HTTP:<!-- -->//x.example"),
        ("www.x.example", "www<!-- -->.x.example"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("$x$", "<span>$</span>x<span>$</span>"),
        ("a&lt;b", "a&amp;lt;b"),
        ("<b>", "&lt;b&gt;"),
        ("a|b", "a\\|b"),
    ],
)
def test_nothing_in_a_name_means_anything_on_github(name: str, shown: str) -> None:
    assert escaped(name) == shown


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum"])
def test_no_cell_is_a_formula(name: str) -> None:
    rows = [*csv.reader(io.StringIO(spreadsheet(Run((model(name, 200, 200, {"params": 100}),))), newline=""))]
    assert {row[0] for row in rows[1:]} == {f"'{name}"}


def test_no_line_of_the_screen_is_a_command_of_a_workflow() -> None:
    run = Run((model("::error::x", 200, 200, {"params": 100}),))
    lines = [line.text.lstrip() for line in summary(run, 80, 2)]
    assert any(line.startswith(": :error::x") for line in lines)
    assert not any(line.startswith("::") for line in lines)


def test_a_comment_holds_a_run_and_a_comparison() -> None:
    names = [f"net{number}_{'x' * 30}" for number in range(1000)]
    run = Run(tuple(model(name, 200, 200, {"params": 100}) for name in names))
    before = {(one.name, ()): one.measurement for one in run.models}
    after = {(one.name, ()): model(one.name, 300, 300, {}).measurement for one in run.models}
    compared = of_comparison(compare(before, after, parse_growth("0%", Place("here"))))
    assert "more rows" in compared
    assert "And 980 more models: " in of_run(run)
    assert len(of_run(run)) + len(compared) < 65_000
