"""One colour for each model of a run, and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pytest_modelbudget.budgets.status import Level
from pytest_modelbudget.reports.terminal import counts
from pytest_modelbudget.reports.wording import counted
from pytest_modelbudget.results.standings import KINDS, Standing

State = Literal["bad", "warn", "good", "plain"]

STATES: Final[Mapping[Level, State]] = {"error": "bad", "warning": "warn", "good": "good", "plain": "plain"}


def headline(models: Sequence[Standing], faults: int) -> tuple[State, str, str]:
    """Return the colour, the verdict in a word, and in a sentence; ``faults`` counts those of the run itself."""
    if not models and not faults:
        return "plain", "Nothing measured", "No model was measured."
    failed = bool(faults) or any(one.fails for one in models)
    parts = [counts(models)] if models else []
    parts += [counted(faults, "fault of the run itself", "faults of the run itself")] if faults else []
    return "bad" if failed else "good", "Failed" if failed else "Passed", f"{', '.join(parts)}."


def kinds(models: Sequence[Standing]) -> list[tuple[str, str, int]]:
    """Return how models of a run are, in words, with their numbers; the worst kind first."""
    found = [(kind, words, sum(one.status.kind == kind for one in models)) for kind, words in KINDS.items()]
    return [one for one in found if one[2]]
