"""What a mark or a call declares: limits for some models, and a name for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from pytest_modelbudget.budgets.errors import BudgetError, MalformedLimit
from pytest_modelbudget.budgets.limits import EXAMPLES, Limit, Place, parse_limit, reads_as_limit, shortened
from pytest_modelbudget.measurement import METRICS

ALIAS = "modelbudget"
"""The mark that is always ours; ``budget`` is shared with other plugins."""

_SELECTORS = ("model", "name")
_MISSPELLED = {
    "parameters": "params",
    "parameter": "params",
    "n_params": "params",
    "num_params": "params",
    "max_params": "params",
    "gmacs": "macs",
    "max_macs": "macs",
    "multiply_adds": "macs",
    "mult_adds": "macs",
    "madds": "macs",
    "gflops": "flops",
    "mflops": "flops",
    "max_flops": "flops",
    "weights": "weight_bytes",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """The limits of one mark or call; ``None`` lifts the limit of a metric.

    ``model`` selects the models that they are for (a name or a glob; ``None``: every one), ``name`` names the model.
    """

    place: Place
    limits: Mapping[str, Limit | None] = field(default_factory=dict)
    model: str | None = None
    name: str | None = None

    def selects(self, *names: str) -> bool:
        """Return whether this is for the model of any of these names."""
        return self.model is None or any(name == self.model or fnmatchcase(name, self.model) for name in names)


def declared_by_mark(
    mark: str, args: tuple[object, ...], kwargs: Mapping[str, object], place: Place
) -> Declaration | None:
    """Return what a mark declares, or ``None`` for a mark of another plugin that is called ``budget`` too.

    Raises BudgetError for a malformed mark of ours.
    """
    if mark != ALIAS and not _is_ours(args, kwargs):
        return None
    if args:
        example = next((metric for metric in ("macs", "params") if isinstance(args[0], str)), "params")
        raise BudgetError(
            f"{mark}({args[0]!r}) at {place}: a limit of what? Name the metric, "
            f"as in @pytest.mark.{mark}({example}={args[0] if reads_as_limit(args[0]) else EXAMPLES[example]!r})"
        )
    selectors = {key: _selector(key, kwargs[key], place) for key in _SELECTORS if key in kwargs}
    metrics = {key: value for key, value in kwargs.items() if key not in _SELECTORS}
    return Declaration(place, declared_limits(metrics, place, also=_SELECTORS), **selectors)


def declared_limits(values: Mapping[str, object], place: Place, also: tuple[str, ...] = ()) -> dict[str, Limit | None]:
    """Return the limits of keyword arguments; ``also`` are the other keywords that are valid there."""
    for key in values:
        if key not in METRICS:
            raise BudgetError(f"{key}= at {place}: no such metric. {_suggestion(key, also)}")
    return {key: None if value is None else _limit(key, value, place) for key, value in values.items()}


def _limit(metric: str, value: object, place: Place) -> Limit:
    try:
        return parse_limit(metric, value, place)
    except MalformedLimit as error:
        raise BudgetError(f"{metric} = {shortened(value)} at {place}: {error}") from None


def nearest(key: str, valid: tuple[str, ...]) -> str | None:
    """Return the valid key that ``key`` was probably meant to be."""
    known = _MISSPELLED.get(key.lower())
    if known in valid:
        return known
    return next(iter(get_close_matches(key.lower(), valid, n=1, cutoff=0.6)), None)


def _is_ours(args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
    if not args and not kwargs:
        return True
    if any(key in METRICS or key in _SELECTORS or _is_near_miss(key) for key in kwargs):
        return True
    return not kwargs and any(reads_as_limit(arg) for arg in args)


def _is_near_miss(key: str) -> bool:
    return key.lower() in _MISSPELLED or bool(get_close_matches(key.lower(), METRICS, n=1, cutoff=0.8))


def _suggestion(key: str, also: tuple[str, ...]) -> str:
    meant = nearest(key, (*METRICS, *also))
    return f"Did you mean {meant}=?" if meant else f"The metrics are {', '.join(METRICS)}."


def _selector(key: str, value: object, place: Place) -> str:
    if not isinstance(value, str) or not value:
        raise BudgetError(f'{key} = {value!r} at {place}: a model\'s name is a string, as in {key}="backbone"')
    return value
