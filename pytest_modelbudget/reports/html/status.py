"""One colour for each model of a run, and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pytest_modelbudget.budgets.status import Level
from pytest_modelbudget.reports.faults import counted_faults
from pytest_modelbudget.reports.terminal import counts
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.standings import Standing

State = Literal["bad", "warn", "good", "plain"]

STATES: Final[Mapping[Level, State]] = {"error": "bad", "warning": "warn", "good": "good", "plain": "plain"}


def headline(run: Run, models: Sequence[Standing]) -> tuple[State, str, str]:
    """Return the colour of a run, the verdict in a word, and in a sentence."""
    faults = counted_faults(run)
    if not models and not faults:
        return "plain", "Nothing measured", "No model was measured."
    failed = bool(faults) or any(one.fails for one in models)
    parts = [*([counts(models)] if models else []), *faults]
    return "bad" if failed else "good", "Failed" if failed else "Passed", f"{', '.join(parts)}."
