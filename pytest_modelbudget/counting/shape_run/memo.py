"""The memo: the outcome of every call so far, by operator and arguments, for as long as the process lives.

Two generations bound it: an outcome that is used moves to the younger one; when that is full it becomes the older one,
and the older one is dropped.
"""

from __future__ import annotations

from typing import Any

from pytest_modelbudget.counting.shape_run.operator_facts import SHAPE_RUN_FACTS, ShapeRunFacts
from pytest_modelbudget.counting.shape_run.outcomes import Outcome

MOST_OUTCOMES = 1 << 14
_younger = 0


def look_up(facts: ShapeRunFacts, key: Any) -> Outcome | None:
    """Return the outcome of an equal call, or None."""
    outcome = facts.outcomes.get(key)
    if outcome is None and facts.older_outcomes:
        outcome = facts.older_outcomes.pop(key, None)
        if outcome is not None:
            facts.outcomes[key] = outcome
    return outcome


def remember(facts: ShapeRunFacts, key: Any, outcome: Outcome) -> None:
    """Keep the outcome of a call for equal ones."""
    global _younger
    _younger += 1
    if _younger > MOST_OUTCOMES:
        _younger = 1
        for known in SHAPE_RUN_FACTS.known.values():
            known.older_outcomes, known.outcomes = known.outcomes, {}
    facts.outcomes[key] = outcome


def number_of_outcomes() -> int:
    """Return how many outcomes are remembered."""
    return sum(len(facts.outcomes) + len(facts.older_outcomes) for facts in SHAPE_RUN_FACTS.known.values())
