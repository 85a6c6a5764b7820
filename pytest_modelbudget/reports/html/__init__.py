"""A run as one page: verdicts, budgets as bars, and where the compute of each model is.

jinja2, of the extra ``html``, is imported where a page is asked for.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from pytest_modelbudget.results import Run

INSTALL: Final = 'pip install "pytest-modelbudget[html]"'


def of_run(run: Run) -> str:
    """Return the HTML of a run, which loads nothing from anywhere. Raises ImportError without the extra ``html``."""
    from pytest_modelbudget.reports.html.page import render

    return render(run)


def lacks() -> str | None:
    """Return what is missing for a page, and the remedy; None where everything is there."""
    return None if find_spec("jinja2") else f"needs jinja2: {INSTALL}"
