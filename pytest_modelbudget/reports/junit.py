"""The properties that a testcase carries into the JUnit file: flat names, exact integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_modelbudget.budgets import Verdict

PREFIX = "modelbudget."


def properties(verdicts: Iterable[Verdict]) -> list[tuple[str, str]]:
    """Return ``modelbudget.<model>.<metric>``, ``.limit`` and ``.baseline`` for everything that one test measured.

    A part of a model is ``modelbudget.<model>[<module>].<metric>``.

    Different measurements under one name are told apart as ``MLP``, ``MLP#2`` and so on.
    """
    seen: dict[str, list[list[tuple[str, str]]]] = {}
    for verdict in verdicts:
        lines = list(_lines(verdict))
        known = seen.setdefault(verdict.model, [])
        if lines not in known:
            known.append(lines)
    return [
        (f"{PREFIX}{model}{'' if number == 1 else f'#{number}'}{key}", value)
        for model, known in seen.items()
        for number, lines in enumerate(known, start=1)
        for key, value in lines
    ]


def _lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    for check in (*verdict.checks, *verdict.parts):
        part = "" if check.module is None else f"[{check.module}]"
        if check.value is not None:
            yield f"{part}.{check.metric}", str(check.value)
        if check.limit is not None:
            yield f"{part}.{check.metric}.limit", str(check.limit.value)
        if check.before is not None:
            yield f"{part}.{check.metric}.baseline", str(check.before)
