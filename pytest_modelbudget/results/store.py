"""The JSON report: everything that a run found, with the version of its schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
    """Look up what the types do not promise. Raises LookupError, and DecodeError for a measurement that is none.

    What names something is on one line in each that the plugin has written: a second one would be whatever it looks
    like to who reads line by line, as a log, a shell and Markdown do.
    """
    if any(map(_BREAKS.search, _names(run))):
        raise msgspec.ValidationError("a name has characters that cannot be printed")
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


def _names(run: Run) -> Iterator[str]:
    """Yield what names the lock file, models, inputs, modules and limits; measurements are decoded for that."""
    yield run.lock
    for model in run.models:
        yield from (model.name, *map(str, model.inputs))
        for check in (*model.verdict.checks, *model.verdict.parts):
            yield from (check.module or "", *(limit.text for limit in (check.limit, check.warn) if limit))
        for module in model.measurement.modules.walk():
            yield from (module.name, module.cls, *module.aliases)


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
