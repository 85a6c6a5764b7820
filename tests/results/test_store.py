"""The JSON report: nothing is lost on its way, and its schema says what it holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from msgspec import structs

import pytest_modelbudget
from pytest_modelbudget.results import Run, gather
from pytest_modelbudget.results.store import ReportError, read_report, report_schema, write_report

from .test_gathering import of_tests, result

SHIPPED = Path(pytest_modelbudget.__file__).parent / "results" / "report.schema.json"
RUN = gather(
    of_tests(a=[result("net", 90)], b=[result("net", macs=101)], c=[result("other", macs=None)]),
    lost_workers=["gw0"],
    incomplete={"worker lost": "gw0"},
)


def test_nothing_is_lost() -> None:
    assert read_report(write_report(RUN), "report") == RUN
    assert read_report(write_report(Run()), "report") == Run()
    (one, other), *_ = RUN.contradictions
    assert (one.tests, other.tests) == (("a",), ("b",))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "run": 3}', "[" * 100_000])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ReportError, match=r"^x\.json: is not a report of the plugin"):
        read_report(text, "x.json")


def test_what_the_types_do_not_promise_is_looked_up() -> None:
    for broken in (
        {"contradicting": [[5, 9]]},
        {"models.tests": []},
        {"models.result.verdict.checks.metric": "maccs"},
        {"models.result.measurement": 3},
        {"models.result.measurement.modules.keys": []},
        {"models.result.measurement.modules.cls": "Net\n::error::no"},
        {"models.result.verdict.model": "net\x1b[31m"},
        {"models.result.verdict.checks.module": "layer\r## Passed"},
        {"lock": "modelbudget.lock.json\nbase=main"},
    ):
        stored = json.loads(write_report(RUN))
        ((path, value),) = broken.items()
        found, *names = stored["run"], *path.split(".")
        for name in names[:-1]:
            found = found[name][0] if isinstance(found[name], list) else found[name]
        found[names[-1]] = value
        with pytest.raises(ReportError, match=r"^x\.json: is not a report of the plugin"):
            read_report(json.dumps(stored), "x.json")


def test_another_schema_is_refused() -> None:
    with pytest.raises(ReportError, match="has schema 3, and this version of the plugin knows 2"):
        read_report('{"schema": 3}', "x.json")


def test_a_report_of_the_first_schema_is_read() -> None:
    older = json.loads(write_report(RUN))
    older["schema"] = 1
    del older["run"]["details"], older["run"]["failed"]
    assert read_report(json.dumps(older, separators=(",", ":")), "x.json") == structs.replace(RUN, details={})


def test_the_schema_that_is_shipped_is_that_of_the_types() -> None:
    text = json.dumps(report_schema(), indent=2, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_SCHEMA"):
        SHIPPED.write_text(text, encoding="utf-8")
    assert SHIPPED.read_text(encoding="utf-8") == text


def test_a_report_is_valid_by_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="check-jsonschema brings it")
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(write_report(RUN)), schema)
    broken = json.loads(write_report(RUN))
    broken["run"]["models"][0]["result"]["measurement"]["modules"]["calls"] = "many"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)
