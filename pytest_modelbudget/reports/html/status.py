"""One word and one colour for each model of a run, and the verdict over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_modelbudget.budgets import Problem, Verdict
from pytest_modelbudget.reports.changes import telling_excesses
from pytest_modelbudget.reports.lines import is_less
from pytest_modelbudget.reports.wording import beyond, counted, excess, percent
from pytest_modelbudget.results import ModelResult, Run

State = Literal["bad", "warn", "good", "plain"]

WORDS: Final[dict[str, str]] = {
    "over": "over",
    "grown": "grew",
    "unknown_operators": "lower bound",
    "not_measured": "not measured",
    "unbudgeted": "no budget",
    "new": "new",
    "warned": "warned",
    "expected": "as xfail expects",
    "within": "within budget",
}
"""The words for the groups of models, the worst group first."""

_PHRASES: Final[dict[str, str]] = {
    "over": "over budget",
    "grown": "above the baseline",
    "unknown_operators": "with only a lower bound",
    "not_measured": "not measured",
    "unbudgeted": "without a budget",
    "new": "not in the baseline",
    "expected": "over as xfail expects",
}


@dataclass(frozen=True, slots=True)
class Status:
    """What became of one model: its group, its colour, and the words for it."""

    group: str
    state: State
    text: str


def status_of(model: ModelResult) -> Status:
    """Return the words for the worst problem of a model, or for there being none."""
    verdict = model.verdict
    if not verdict.problems:
        return _fine(verdict)
    worst = verdict.problems[0]
    state: State = "bad" if fails(model) else "warn"
    if worst.is_excess:
        over = telling_excesses(verdict.over)
        grown = all(problem.kind == "grown" for problem in over)
        most = max(over, key=in_relation)
        more = f" in {len(over)} metrics, at most" if len(over) > 1 else ""
        text = f"{'grew' if grown else 'over'}{more} by {excess(most)}"
        if model.excused and state == "warn":
            return Status("expected", state, f"{text}, as xfail expects")
        return Status("grown" if grown else "over", state, text)
    above = f", above {worst.limit.text}" if worst.kind == "warned" and worst.limit else ""
    return Status(worst.kind, state, WORDS[worst.kind] + above)


def fails(model: ModelResult) -> bool:
    """Return whether an error is left that ``xfail`` did not expect."""
    return len(model.verdict.errors) > (len(model.verdict.over) if model.excused else 0)


def in_relation(problem: Problem) -> float:
    """Return an excess as a share of what is allowed."""
    over, allowed = beyond(problem)
    return over / allowed if allowed else float("inf")


def worst_first(models: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the models as a reviewer wants them: what fails, what warns, and what has the least left."""
    return sorted(models, key=_rank)


def headline(run: Run, faults: int) -> tuple[State, str, str]:
    """Return the colour, the verdict in a word, and in a sentence; ``faults`` counts those of the run itself."""
    number = counted(len(run.models), "model")
    if not run.models and not faults:
        return "plain", "Nothing measured", "No model was measured."
    failing = [model for model in run.models if fails(model)]
    groups = Counter(status_of(model).group for model in failing or run.models)
    parts: list[str] = []
    for group, phrase in _PHRASES.items():
        if groups[group]:
            parts.append(f"{groups[group] if parts or not failing else f'{groups[group]} of {number}'} {phrase}")
    if failing or faults:
        parts += [counted(faults, "fault of the run itself", "faults of the run itself")] if faults else []
        return "bad", "Failed", f"{', '.join(parts)}."
    within = groups["within"] + groups["warned"]
    parts.insert(0, f"{number if within == len(run.models) else f'{within} of {number}'} within budget")
    return "good", "Passed", f"{', '.join(parts)}."


def _fine(verdict: Verdict) -> Status:
    new = verdict.baseline == "new" and verdict.named
    if not verdict.budgeted:
        return Status("new", "plain", "new") if new else Status("unbudgeted", "plain", "no budget")
    left = _least_room(verdict)
    return Status("within", "good", f"ok{left}{', new' if new else ', less' if is_less(verdict) else ''}")


def _least_room(verdict: Verdict) -> str:
    rooms = [
        (check.limit.value - check.value, check.limit.value)
        for check in verdict.checks
        if check.limit is not None and check.value is not None
    ]
    if not rooms:
        return ""
    left, limit = min(rooms, key=lambda room: room[0] / room[1] if room[1] else 0)
    return f", {percent(left, limit)} left" if left else ", at the limit"


def _rank(model: ModelResult) -> tuple[bool, int, float, str]:
    status = status_of(model)
    excess = max(map(in_relation, model.verdict.over), default=0.0)
    return not fails(model), [*WORDS].index(status.group), -excess, model.name
