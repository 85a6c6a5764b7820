"""A run in the formats of other tools: spreadsheets, GitLab's widgets, and histories of numbers over time.

Each has its consumer's format: https://docs.gitlab.com/ci/testing/metrics_reports and .../code_quality,
github-action-benchmark's ``customSmallerIsBetter``, and Bencher's metric format.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator

import msgspec

from pytest_modelbudget.budgets import Check, Place, Verdict
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.faults import faults
from pytest_modelbudget.reports.github import place_of, said
from pytest_modelbudget.results import ModelResult, Run
from pytest_modelbudget.results.standings import Standing, standings, words_for_inputs


def spreadsheet(run: Run) -> str:
    """Return comma-separated values (RFC 4180): a row for each metric of each model, integers without separators."""
    rows: list[tuple[object, ...]] = [
        ("model", "inputs", "mode", "module", "metric", "value", "limit", "warn", "baseline", "allowed", "problem")
    ]
    words = words_for_inputs(run.models)
    for model in run.models:
        about = model.name, words[model.name, model.inputs], model.verdict.mode
        kinds = {problem.subject: problem.kind for problem in reversed(model.verdict.problems) if problem.metric}
        for check in (*model.verdict.checks, *model.verdict.parts):
            limits = (check.limit and check.limit.value, check.warn and check.warn.value, check.before, check.allowed)
            rows.append((*about, check.module, check.metric, check.value, *limits, kinds.get(check.subject)))
        others = [problem for problem in model.verdict.problems if not problem.metric]
        rows += [(*about, problem.module, *[None] * 6, problem.kind) for problem in others]
    text = io.StringIO()
    csv.writer(text).writerows([*map(_no_formula, row)] for row in rows)
    return text.getvalue()


def _no_formula(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe makes it text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell


def metrics(run: Run) -> str:
    """Return OpenMetrics text for GitLab, which compares the lines of two branches as strings: plain integers."""
    lines = []
    for model, inputs, check in _measured(run):
        labels = {"model": model.name, "inputs": inputs}
        text = ",".join(f'{name}="{_label(value)}"' for name, value in labels.items())
        lines.append(f"modelbudget_{check.metric}{{{text}}} {check.value}")
    return "\n".join([*sorted(lines), "# EOF"]) + "\n"


def code_quality(run: Run) -> str:
    """Return GitLab's code quality report: what is wrong, each with a fingerprint that does not depend on its value."""
    found = [_finding(one) for one in standings(run) if one.status.level in ("error", "warning")]
    for fault in faults(run):
        found.append(_entry(fault.headline, fault.kind.replace(" ", "_"), fault.name, fault.place, "major"))
    return _json(found)


def benchmark(run: Run) -> str:
    """Return what github-action-benchmark reads as ``customSmallerIsBetter``."""
    entries = []
    for model, inputs, check in _measured(run):
        name, unit = f"{_name(model.verdict, inputs)} {check.metric}", METRICS[check.metric].units[0]
        mode = {"extra": f"{model.verdict.mode} mode"} if model.verdict.mode else {}
        entries.append({"name": name, "value": check.value, "unit": unit, **mode})
    return _json(entries)


def bencher(run: Run) -> str:
    """Return Bencher's metric format: by model, each metric with its value, and its limit as the upper one."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for model, inputs, check in _measured(run):
        limit = {"upper_value": check.limit.value} if check.limit else {}
        found.setdefault(_name(model.verdict, inputs), {})[check.metric] = {"value": check.value or 0, **limit}
    return _json(found)


def _measured(run: Run) -> Iterator[tuple[ModelResult, str, Check]]:
    words = words_for_inputs(run.models)
    for model in run.models:
        for check in model.verdict.checks:
            if check.value is not None:
                yield model, words[model.name, model.inputs], check


def _name(verdict: Verdict, inputs: str) -> str:
    return f"{verdict.name} ({inputs})" if verdict.inputs else verdict.name


def _finding(one: Standing) -> dict[str, object]:
    severity = "major" if one.fails else "info" if one.status.kind == "expected" else "minor"
    identity = "\n".join((one.verdict.model, one.inputs, one.status.kind))
    return _entry(
        f"{_name(one.verdict, one.inputs)}: {'; '.join(said(one))}", one.status.kind, identity, place_of(one), severity
    )


def _entry(description: str, kind: str, identity: str, place: Place, severity: str) -> dict[str, object]:
    return {
        "description": description,
        "check_name": f"modelbudget.{kind}",
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "severity": severity,
        "location": {"path": place.path, "lines": {"begin": place.line or 1}},
    }


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
