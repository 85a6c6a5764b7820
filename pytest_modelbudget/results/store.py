"""The JSON report: everything that a run found, with the version of its schema."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import Struct

from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.results.folding import FoldedMeasurement
from pytest_modelbudget.results.run import Run

SCHEMA: Final = 2
_OLDER: Final = (1,)
"""Schemas that are read too: they lack what has a default."""


class ReportError(Exception):
    """What is wrong with a stored report, and the remedy."""


class Report(Struct, frozen=True):
    """A stored run."""

    schema: int
    run: Run


class _Schema(Struct):
    schema: int


def write_report(run: Run) -> str:
    """Return the JSON of a run, on one line; every number in it is exact."""
    return msgspec.json.encode(Report(SCHEMA, run)).decode() + "\n"


def read_report(text: str, shown: str) -> Run:
    """Return the run in the JSON of a report; ``shown`` is its file as people know it. Raises ReportError."""
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema not in (SCHEMA, *_OLDER):
            raise ReportError(f"{shown}: has schema {schema}, and this version of the plugin knows {SCHEMA}")
        run = msgspec.json.decode(text, type=Report).run
        _check(run)
    except (msgspec.DecodeError, LookupError, RecursionError) as error:
        raise ReportError(f"{shown}: is not a report of the plugin: {error}") from None
    return run


def _check(run: Run) -> None:
    """Look up what the types do not promise. Raises LookupError, and DecodeError for a measurement that is none."""
    run.contradictions  # noqa: B018  # their places are looked up
    for model in run.models:
        verdict, _ = model.verdict, model.tests[0]
        stated: tuple[Any, ...] = (
            *verdict.checks,
            *verdict.parts,
            *verdict.problems,
            *verdict.scaling,
            *model.differences,
        )
        for metric in {found.metric for found in stated} - {""}:  # a problem may be of no metric
            METRICS[metric]
        model.measurement  # noqa: B018  # it is decoded now


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report, from the types."""
    (report, measurement), components = msgspec.json.schema_components(
        (Report, FoldedMeasurement), ref_template="#/$defs/{name}"
    )
    components["Result"]["properties"]["measurement"] = measurement
    for part in (report, *components.values()):
        if "description" in part:
            part["description"] = cleandoc(part["description"])  # as Python 3.13 keeps docstrings
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A report of pytest-modelbudget",
        **report,
        "$defs": components,
    }
