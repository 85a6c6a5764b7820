"""What stands below the rows: how many models are how, of which metric least is left, and where limits stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_modelbudget.reports.lines import NO_BREAK, Line, wrapped
from pytest_modelbudget.reports.rows import Row, left_in_relation, room, tightest
from pytest_modelbudget.reports.wording import convention, counted, listed, of_all

KINDS = {
    "over": "over budget",
    "grown": "above the baseline",
    "contradicted": "under a name that another model has",
    "unknown_operators": "with only a lower bound",
    "not_measured": "not measured",
    "steeper": "growing too steeply with their inputs",
    "no_module": "with a limit for modules that they do not have",
    "new": "not in the baseline",
    "within": "within budget",
    "warned": "above a warning",
    "expected": "over as xfail expects",
    "unbudgeted": "without a budget",
}
"""How a model can be, in the order in which that is said."""


def footer(models: Sequence[Row], flops_per_mac: int, width: int, *, brief: bool) -> list[Line]:
    """Return the lines below the rows of all models; each is counted once, and ``brief`` tells only what is wrong."""
    parts = how_many(models, len(models))
    text = f"{', '.join(parts)} ({convention(flops_per_mac).replace(' ', NO_BREAK)})."
    parts = [text, *([] if brief else _least_left(models)), *_limits(models)]
    return [line for part in parts for line in wrapped(part, width)]


def how_many(models: Sequence[Row], number: int) -> list[str]:
    """Return how many of these are of each kind, the worst first; all models together are ``number``."""
    found = Counter(map(kind_of, models))
    parts: list[str] = []
    for kind, words in KINDS.items():
        if found[kind] == number:
            parts.append(f"{counted(number, 'model')} {words}")
        elif found[kind]:
            parts.append(f"{f'{found[kind]:,}' if parts else of_all(found[kind], number, 'model')} {words}")
    return parts if number else []


def kind_of(model: Row) -> str:
    """Return how a model is, one of KINDS."""
    problem = model.problem
    if model.contradicted:
        return "contradicted"
    if problem is None:
        return "within" if model.verdict.budgeted else "unbudgeted"
    if problem.is_excusable and not model.fails:
        return "expected"
    if problem.is_excess:
        only_grown = all(one.kind == "grown" for one in model.verdict.over)
        return "expected" if not model.fails else "grown" if only_grown else "over"
    return problem.kind


def _least_left(models: Sequence[Row]) -> Iterator[str]:
    """Yield of which metric the least is left, among several that have limits and are within them."""
    limited = [
        (check, model)
        for model in models
        if kind_of(model) == "within" and (check := tightest(model.verdict)) is not None
    ]
    if limited:
        check, model = min(limited, key=lambda one: left_in_relation(one[0]))
        yield f"Closest to its limit: {model.name}'s {check.metric}, {room(check)}."


def _limits(models: Sequence[Row]) -> Iterator[str]:
    """Yield which limit stands where, of those that fail."""
    places: dict[str, dict[str, list[str]]] = {}
    for model in models:
        for problem in model.verdict.over if kind_of(model) in ("over", "grown") else ():
            if problem.place:
                places.setdefault(str(problem.place), {}).setdefault(model.name, []).append(problem.subject)
    for place, limited in places.items():
        whose = [f"{name}'s {listed(metrics)}" for name, metrics in limited.items()]
        yield f"Limit of {', '.join(whose)}: {place}"
