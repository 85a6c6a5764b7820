"""Words for what changed since the baseline, and where."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelbudget.budgets import Problem
from pytest_modelbudget.measurement import human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.outline import pattern
from pytest_modelbudget.results.difference import Change, Difference

_SHOWN = 8
_FOLLOWS = {
    "flops": "macs",
    "training_flops": "training_macs",
    "trainable_params": "params",
    "weight_bytes": "params",
}


def because(difference: Difference) -> str:
    """Return the change of one metric and the modules behind it: ``+0.51 G MACs: head (+0.46 G), ...``."""
    amount = signed(difference.after - difference.before, difference.metric)
    parts = [_change(change, difference.metric) for change in difference.changes[:_SHOWN]]
    rest = difference.changes[_SHOWN:]
    if rest:
        parts.append(f"{len(rest)} more ({signed(sum(change.amount for change in rest), difference.metric)})")
    return f"{amount} {METRICS[difference.metric].label}: {', '.join(parts)}"


def telling(differences: Sequence[Difference]) -> list[Difference]:
    """Return the differences that say something of their own: FLOPs follow MACs, and bytes follow parameters."""
    metrics = {difference.metric for difference in differences}
    return [one for one in differences if _FOLLOWS.get(one.metric) not in metrics]


def telling_excesses(problems: Sequence[Problem]) -> list[Problem]:
    """Return the excesses that a headline names: of growth, only those that say something of their own."""
    metrics = {problem.metric for problem in problems if problem.kind == "grown"}
    return [one for one in problems if one.kind != "grown" or _FOLLOWS.get(one.metric) not in metrics]


def signed(amount: int, metric: str) -> str:
    """Return an amount with its sign."""
    return f"{'+' if amount >= 0 else ''}{human(amount, metric)}"


def change_in_percent(before: int, after: int) -> str:
    """Return how far a metric has moved: ``+1.2%``, never a zero that is none."""
    if before == 0:
        return "+new"
    tenths = (2000 * abs(after - before) + before) // (2 * before)
    sign = "+" if after > before else "-"
    return f"{sign}{tenths // 10:,}.{tenths % 10}%" if tenths else f"<{sign}0.1%"


def _change(change: Change, metric: str) -> str:
    name = pattern(change.modules) or "the model itself"
    times = f" x{len(change.modules)}" if len(change.modules) > 1 else ""
    if change.kind == "moved":
        return f"{pattern(change.moved_from)} is now {name}{times}"
    word = {"appeared": "new, ", "vanished": "gone, "}.get(change.kind, "")
    return f"{name} {change.cls}{times} ({word}{signed(change.amount, metric)})"
