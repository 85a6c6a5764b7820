"""Words for what changed since the baseline, and where."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_modelbudget.measurement import human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import pattern, times
from pytest_modelbudget.results.standings import Cause

_SHOWN = 5


def why(causes: Sequence[Cause], shown: int = _SHOWN) -> list[str]:
    """Return what changed, the largest first: ``h.12 GPT2Block (new, +7.088 M params, +459.3 M MACs)``."""
    rest = len(causes) - shown
    return [*map(_cause, causes[:shown]), *([f"{rest} more"] if rest > 0 else [])]


def _cause(cause: Cause) -> str:
    name = pattern(cause.modules) or "the model itself"
    number = times(len(cause.modules))
    if cause.kind == "moved":
        return f"{pattern(cause.moved_from)} is now {name}{number}"
    amounts = [
        f"{'+' if amount >= 0 else ''}{human(amount, metric)} {METRICS[metric].label}"
        for metric, amount in cause.amounts.items()
    ]
    word = {"appeared": ["new"], "vanished": ["gone"]}.get(cause.kind, [])
    return f"{name} {cause.cls}{number} ({', '.join([*word, *amounts])})"
