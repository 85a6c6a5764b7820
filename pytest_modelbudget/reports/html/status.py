"""One word and one colour for each model of a run, and the verdict over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_modelbudget.budgets import Problem
from pytest_modelbudget.reports.changes import telling_excesses
from pytest_modelbudget.reports.footer import KINDS, how_many, kind_of
from pytest_modelbudget.reports.rows import Row, status
from pytest_modelbudget.reports.wording import beyond, counted, excess

State = Literal["bad", "warn", "good", "plain"]

_STATES: Final[dict[str, State]] = {"red": "bad", "yellow": "warn", "green": "good", "": "plain"}


@dataclass(frozen=True, slots=True)
class Status:
    """What became of one model: its kind, its colour, and the words for it."""

    kind: str
    state: State
    text: str


def status_of(row: Row) -> Status:
    """Return the words for the worst problem of a model, or for there being none."""
    state = _STATES[row.colour]
    if row.contradicted or row.problem is None or not row.problem.is_excess:
        text = status(row, brief=False)
        return Status(kind_of(row), state, text.lower() if text.isupper() else text)
    over = telling_excesses(row.verdict.over)
    word = "grew" if all(problem.kind == "grown" for problem in over) else "over"
    more = f" in {len(over)} metrics, at most" if len(over) > 1 else ""
    expected = ", as xfail expects" if row.result.excused else ""
    return Status(kind_of(row), state, f"{word}{more} by {excess(max(over, key=_in_relation))}{expected}")


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Return the models as a reviewer wants them: what fails, what warns, and what is as it should be."""
    return sorted(rows, key=_rank)


def headline(rows: Sequence[Row], faults: int) -> tuple[State, str, str]:
    """Return the colour, the verdict in a word, and in a sentence; ``faults`` counts those of the run itself."""
    if not rows and not faults:
        return "plain", "Nothing measured", "No model was measured."
    failing = [row for row in rows if row.fails]
    failed = bool(failing or faults)
    parts = how_many(failing if failed else rows, len(rows))
    parts += [counted(faults, "fault of the run itself", "faults of the run itself")] if faults else []
    return "bad" if failed else "good", "Failed" if failed else "Passed", f"{', '.join(parts)}."


def kinds(rows: Iterable[Row]) -> list[tuple[str, str, int]]:
    """Return how models of a run are, in words, with their numbers; the worst kind first."""
    found = Counter(map(kind_of, rows))
    return [(kind, words, found[kind]) for kind, words in KINDS.items() if found[kind]]


def _in_relation(problem: Problem) -> float:
    over, allowed = beyond(problem)
    return over / allowed if allowed else float("inf")


def _rank(row: Row) -> tuple[bool, bool, int, float, str]:
    most = max(map(_in_relation, row.verdict.over), default=0.0)
    return not row.fails, row.colour != "yellow", [*KINDS].index(kind_of(row)), -most, row.name
