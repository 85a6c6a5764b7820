"""The types of reports that can be written to files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_modelbudget.reports import exports, html, markdown
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.store import write_report

Format = tuple[str, Callable[[Run], str]]
"""The default file, and the function from a run to its text."""

FORMATS: Final[dict[str, Format]] = {
    "json": ("modelbudget.json", write_report),
    "markdown": ("modelbudget.md", markdown.of_run),
    "html": ("modelbudget.html", html.of_run),
    "csv": ("modelbudget.csv", exports.spreadsheet),
    "metrics": ("metrics.txt", exports.metrics),
    "codequality": ("gl-code-quality-report.json", exports.code_quality),
    "benchmark": ("benchmark.json", exports.benchmark),
    "bmf": ("bmf.json", exports.bencher),
}
"""The types that come with the plugin."""
