"""The properties that a testcase carries into the JUnit file: flat names, exact integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_modelbudget.budgets import Verdict
from pytest_modelbudget.results.standings import words_for_inputs

PREFIX = "modelbudget."


def properties(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """Return ``modelbudget.<model>.<metric>``, ``.limit`` and ``.baseline`` for everything that one test measured.

    A part of a model is ``modelbudget.<model>[<module>].<metric>``, and a model that was measured at several inputs
    ``modelbudget.<model>[<inputs>].<metric>``. Different measurements of one name are told apart as ``MLP``, ``MLP#2``
    and so on.
    """
    words = words_for_inputs(verdicts)
    several = Counter(name for name, _ in words)
    seen: dict[str, list[list[tuple[str, str]]]] = {}
    for verdict in verdicts:
        inputs = f"[{words[verdict.name, verdict.inputs]}]" if several[verdict.name] > 1 else ""
        known, lines = seen.setdefault(f"{verdict.name}{inputs}", []), list(_lines(verdict))
        if lines not in known:
            known.append(lines)
    return [
        (f"{PREFIX}{model}{'' if number == 1 else f'#{number}'}{key}", value)
        for model, known in seen.items()
        for number, lines in enumerate(known, start=1)
        for key, value in lines
    ]


def _lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    if verdict.mode is not None:
        yield ".mode", verdict.mode
    for check in (*verdict.checks, *verdict.parts):
        part = "" if check.module is None else f"[{check.module}]"
        if check.value is not None:
            yield f"{part}.{check.metric}", str(check.value)
        if check.limit is not None:
            yield f"{part}.{check.metric}.limit", str(check.limit.value)
        if check.before is not None:
            yield f"{part}.{check.metric}.baseline", str(check.before)
