"""What a notebook shows of a measurement: the folded module tree, as HTML without scripts."""

from __future__ import annotations

from html import escape

from pytest_modelbudget.costs import ModuleCost, human, percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.outline import Branch, folded, label

_OPEN_AT_FIRST = 2  # levels
_MOST = 400
"""Branches that are written out; a cell is kept with the notebook."""


def as_html(headline: str, root: ModuleCost, name: str) -> str:
    """Return the headline, and the tree below it to unfold."""
    whole = folded(root)
    basis = "macs" if root.total.macs else "params"
    depth, count = 0, 1
    level = whole.children
    while level and count + len(level) <= _MOST:
        depth, count = depth + 1, count + len(level)
        level = [child for branch in level for child in branch.children]
    return f"<p>{escape(headline)}</p>{_branch(whole, name, basis, getattr(root.total, basis) or 0, 0, depth)}"


def _branch(branch: Branch, name: str, basis: str, total: int, level: int, depth: int) -> str:
    value = branch.total[basis] or 0
    numbers = f"params {human(branch.total['params'])}, MACs {human(branch.total['macs'])}"
    share = percent(value, total)
    line = f"{escape(label(branch, name))}: {numbers}" + (f", {share} of {METRICS[basis].label}" if share else "")
    if not branch.children:
        return f"<div style='margin-left:1.2em'>{line}</div>"
    if level == depth:
        below = f"<div style='margin-left:1.2em'>+ {branch.size - branch.count:,} modules further below</div>"
    else:
        below = "".join(_branch(child, name, basis, total, level + 1, depth) for child in branch.children)
    is_open = " open" if level < _OPEN_AT_FIRST else ""
    return f"<details style='margin-left:1.2em'{is_open}><summary>{line}</summary>{below}</details>"
