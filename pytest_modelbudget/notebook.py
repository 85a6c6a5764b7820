"""What a notebook shows of a measurement: its module tree as a table, in HTML without scripts and without colours."""

from __future__ import annotations

from html import escape

from pytest_modelbudget.costs import ModuleCost, human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.outline import Branch, label, outlined

_TABLE = "<table style='font-variant-numeric:tabular-nums;white-space:nowrap'>"
_LEFT, _RIGHT = "style='text-align:left'", "style='text-align:right'"


def as_html(headline: str, root: ModuleCost, name: str) -> str:
    """Return the headline, and below it a row for each of the costliest branches, with its share as a bar."""
    outline = outlined(root)
    columns = "".join(f"<th {_RIGHT}>{one}" for one in ("params", "MACs", f"of {METRICS[outline.basis].label}"))
    rows = "".join(_row(name, *row) for row in outline.shown)
    rest = f"<p>{escape(outline.rest)}</p>" if outline.rest else ""
    return f"<p>{escape(headline)}</p>{_TABLE}<tr><th {_LEFT}>module{columns}<th>{rows}</table>{rest}"


def _row(name: str, level: int, branch: Branch, share: str) -> str:
    title = f"<td style='text-align:left;padding-left:{1.2 * level + 0.5:.1f}em'>{escape(label(branch, name))}"
    numbers = (human(branch.total["params"]), human(branch.total["macs"]), share)
    cells = "".join(f"<td {_RIGHT}>{number}" for number in numbers)
    # The bar has the colour of the text, which is readable on light and on dark.
    bar = f"<div style='background:currentColor;opacity:.4;height:.7em;width:{share or 0}'></div>"
    return f"<tr>{title}{cells}<td style='min-width:8em'>{bar}"
