"""Limits for parts of a model: which modules a name or pattern means, and what they are held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase

from pytest_modelbudget.budgets.merging import Budget
from pytest_modelbudget.budgets.verdicts import Check, Problem
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost
from pytest_modelbudget.metrics import METRICS


def checks_of_parts(
    measurement: Measurement, budgets: Mapping[str, Budget], before: Mapping[str, Costs]
) -> tuple[tuple[Check, ...], list[Problem]]:
    """Return the checks of every module that a pattern of ``budgets`` matches, and a problem for each that has none."""
    checks: list[Check] = []
    problems: list[Problem] = []
    modules = [*measurement.modules.walk()]
    for pattern, budget in budgets.items():
        found = [module for module in modules if any(matches(n, pattern) for n in (module.name, *module.aliases))]
        for module in found:
            checks += _checks_of_module(module, budget, before.get(module.name), _owns_its_costs(measurement, module))
        if not found:
            places = [limit.place for limit in (*budget.limits.values(), *budget.warns.values())]
            names = [module.name for module in modules if module.name]
            nearest = tuple(get_close_matches(pattern, names, 3))
            problems.append(Problem("no_module", "error", next(iter(places), None), module=pattern, nearest=nearest))
    return tuple(checks), problems


def matches(name: str, pattern: str) -> bool:
    """Return whether a qualified name is what ``pattern`` says; ``*`` is any part of a name between two dots."""
    names, patterns = name.split("."), pattern.split(".")
    same_depth = len(names) == len(patterns) and bool(name) == bool(pattern)
    return same_depth and all(map(fnmatchcase, names, patterns))


def _owns_its_costs(measurement: Measurement, module: ModuleCost) -> bool:
    """Return whether all that a part runs is known to be its own: a scripted module above may run some of it."""
    scripted = {operator.module for operator in measurement.unplaced}
    return not any(name != module.name and f"{module.name}.".startswith(name and f"{name}.") for name in scripted)


def _checks_of_module(module: ModuleCost, budget: Budget, before: Costs | None, is_own: bool) -> Iterator[Check]:
    for metric in METRICS:
        if not METRICS[metric].has_parts:
            continue
        limit, warn, growth = budget.limits.get(metric), budget.warns.get(metric), budget.growths.get(metric)
        value = getattr(module.total, metric) if is_own or not METRICS[metric].runs else None
        # Where a part was not measured, its growth cannot be told either.
        known = None if before is None or value is None else getattr(before, metric)
        growth = growth if known is not None else None
        allowed = None if growth is None or known is None else growth.allowed(known, budget.floors.get(metric))
        if limit or warn or growth:
            yield Check(metric, value, limit, warn, known, growth, allowed, module.name)
