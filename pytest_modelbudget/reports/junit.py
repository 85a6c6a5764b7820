"""The properties that a testcase carries into the JUnit file: flat names, exact integers."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_modelbudget.budgets import Verdict

PREFIX = "modelbudget."


def properties(verdicts: Iterable[Verdict]) -> list[tuple[str, str]]:
    """Return ``modelbudget.<model>.<metric>`` and ``.limit`` for everything that one test measured.

    Different measurements of models without a name of their own are told apart as ``MLP``, ``MLP#2`` and so on.
    """
    seen: dict[str, list[list[tuple[str, str]]]] = {}
    for verdict in verdicts:
        lines = list(_lines(verdict))
        known = seen.setdefault(verdict.model, [])
        if lines not in known:
            known.append(lines)
    return [
        (f"{PREFIX}{model}{'' if number == 1 else f'#{number}'}.{key}", value)
        for model, known in seen.items()
        for number, lines in enumerate(known, start=1)
        for key, value in lines
    ]


def _lines(verdict: Verdict) -> Iterable[tuple[str, str]]:
    for metric in verdict.metrics:
        if metric.value is not None:
            yield metric.metric, str(metric.value)
        if metric.limit is not None:
            yield f"{metric.metric}.limit", str(metric.limit.value)
