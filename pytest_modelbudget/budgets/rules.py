"""What one table entry, mark or call declares: limits and warnings for some models, and a name for one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, field, structs

from pytest_modelbudget.budgets.errors import BudgetError, MalformedLimit
from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.limits import Limit, parse_limit, reads_as_limit, shortened
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.measurement import WHAT_NAMES_ARE, is_printable
from pytest_modelbudget.metrics import MARKS, METRICS, is_near_miss, nearest

SELECTORS = ("model", "name", "module")
"""The keywords of a mark that are no metrics."""

_LIKE_A_LIMIT = re.compile(
    r"\s*[0-9][0-9._,]* ?(?:Mi?|(?i:[KGTP]i?))?\s*(?i:macs?|flops?|params?|parameters|B|bytes)?\s*"
)
"""What somebody means as a limit, although it may not be one: ``4.1g``, ``0.001 GMac``; but not ``180`` or ``5m``."""


class Rules(Struct, frozen=True, omit_defaults=True):
    """What one table entry, mark or call declares, and where.

    A metric that maps to ``None`` is lifted, a missing one is inherited. ``warns`` are the thresholds above which a
    model is shown and passes, ``growths`` how far a metric may rise above its baseline, and ``floors`` rises that are
    allowed however small the baseline is. ``model`` selects the models that the rules are for (a name or a glob;
    ``None``: every one), ``name`` names the model, ``message`` is the project's own note on a failure. With ``module``
    the rules are for the parts of a model that this qualified name or pattern matches; ``parts`` are such rules, of a
    table entry.
    """

    limits: Mapping[str, Limit | None] = field(default_factory=dict)
    warns: Mapping[str, Limit | None] = field(default_factory=dict)
    growths: Mapping[str, Growth | None] = field(default_factory=dict)
    floors: Mapping[str, Limit | None] = field(default_factory=dict)
    place: Place | None = None
    model: str | None = None
    name: str | None = None
    message: str | None = None
    module: str | None = None
    parts: tuple[Rules, ...] = ()

    def without(self, metrics: Collection[str]) -> Rules:
        """Return these rules without what they say of some metrics."""

        def kept(rules: Mapping[str, Any]) -> dict[str, Any]:
            return {metric: rule for metric, rule in rules.items() if metric not in metrics}

        return structs.replace(
            self,
            limits=kept(self.limits),
            warns=kept(self.warns),
            growths=kept(self.growths),
            floors=kept(self.floors),
        )

    def selects(self, *names: str) -> bool:
        """Return whether these rules are for the model of any of these names."""
        return self.model is None or any(name == self.model or fnmatchcase(name, self.model) for name in names)


def rules_of_mark(
    mark: str, args: tuple[object, ...], kwargs: Mapping[str, object], place: Place, *, shared: bool = False
) -> Rules | None:
    """Return what a mark declares, or ``None`` for a mark of another plugin that is called ``budget`` too.

    ``shared`` tells that somebody else has registered a mark of that name. Raises BudgetError for a malformed mark,
    and for one whose name is nearly one of ours.
    """
    if mark not in MARKS:
        raise BudgetError(f"@pytest.mark.{mark} at {place} is unknown, and limits nothing: write @pytest.mark.budget")
    if shared and mark == "budget" and not _is_ours(args, kwargs):
        return None
    if args:
        example = "macs" if isinstance(args[0], str) else "params"
        written = args[0] if reads_as_limit(args[0]) else METRICS[example].example
        raise BudgetError(
            f"{mark}({shortened(args[0])}) at {place}: a limit of what? Name the metric, "
            f"as in @pytest.mark.{mark}({example}={written!r})"
        )
    selected = {key: _selector(key, kwargs[key], place) for key in SELECTORS if key in kwargs}
    limits = {key: value for key, value in kwargs.items() if key not in SELECTORS}
    return _rules(limits, place, also=SELECTORS, **selected)


def rules_of_call(limits: Mapping[str, object], place: Place, name: str | None, also: tuple[str, ...]) -> Rules:
    """Return what the keyword arguments of a call declare; ``also`` are the other keywords that are valid there.

    Raises BudgetError for a keyword that is no metric, and for a malformed limit.
    """
    return _rules(limits, place, also=also, name=None if name is None else _selector("name", name, place))


def _rules(values: Mapping[str, object], place: Place, *, also: tuple[str, ...], **selected: str | None) -> Rules:
    for key in values:
        if key not in METRICS:
            raise BudgetError(f"{key}= at {place}: no such metric. {_suggestion(key, also)}")
    limits = {key: None if value is None else _limit(key, value, place) for key, value in values.items()}
    whole = [key for key in limits if not METRICS[key].has_parts]
    if selected.get("module") is not None and whole:
        raise BudgetError(f"{whole[0]}= at {place}: is of the whole model, and of no part of it")
    lifted = [key for key, limit in limits.items() if limit is None]
    return Rules(
        limits,
        dict.fromkeys(lifted),
        dict.fromkeys(lifted),
        place=place,
        model=selected.get("model"),
        name=selected.get("name"),
        module=selected.get("module"),
    )


def _limit(metric: str, value: object, place: Place) -> Limit:
    try:
        return parse_limit(metric, value, place)
    except MalformedLimit as error:
        raise BudgetError(f"{metric} = {shortened(value)} at {place}: {error}") from None


def _is_ours(args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
    keys = [*kwargs, *(key for arg in args if isinstance(arg, Mapping) for key in arg)]
    if any(key in METRICS or key in SELECTORS or is_near_miss(str(key)) for key in keys):
        return True
    return not kwargs and any(isinstance(arg, str) and _LIKE_A_LIMIT.fullmatch(arg) for arg in args)


def _suggestion(key: str, also: tuple[str, ...]) -> str:
    meant = nearest(key, (*METRICS, *also))
    return f"Did you mean {meant}=?" if meant else f"The metrics are {', '.join(METRICS)}."


def _selector(key: str, value: object, place: Place) -> str:
    if not isinstance(value, str) or (not value and key != "module"):
        raise BudgetError(f'{key} = {value!r} at {place}: a {key} is a string, as in {key}="backbone"')
    if not is_printable(value):
        raise BudgetError(f"{key} = {value!a} at {place}: {WHAT_NAMES_ARE}")
    return str.__str__(value)  # of numpy, for example
