"""How a metric grows with the inputs: the exponent of a power law that is fitted to exact integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log

from msgspec import Struct

from pytest_modelbudget.budgets.errors import BudgetError, MalformedLimit
from pytest_modelbudget.budgets.limits import shortened
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.verdicts import Problem, Scaling
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.metrics import METRICS, nearest
from pytest_modelbudget.specs import Inputs, SpecError, parse_inputs

_NAMES = {"constant": 0.0, "linear": 1.0, "quadratic": 2.0, "cubic": 3.0}


class Exponent(Struct, frozen=True):
    """The steepest growth that is allowed, as it was declared (``linear``) and as an exponent (1), and where."""

    text: str
    value: float
    place: Place


def parse_exponent(value: object, place: Place) -> Exponent:
    """Return an exponent: constant, linear, quadratic, cubic, or a number. Raises MalformedLimit."""
    if isinstance(value, str) and value in _NAMES:
        return Exponent(str.__str__(value), _NAMES[value], place)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 100:
        return Exponent(f"{float(value):g}", float(value), place)
    raise MalformedLimit(f'growth with the inputs is {", ".join(_NAMES)}, or an exponent. This works: macs = "linear"')


def scaling_of_call(
    inputs: object, exponents: Mapping[str, object], place: Place | None
) -> tuple[Inputs, dict[str, Exponent]]:
    """Return what the arguments of a call say. Raises BudgetError."""
    where = place or Place("")
    try:
        steps = parse_inputs(inputs)
    except SpecError as error:
        raise BudgetError(f"inputs at {place}: {error}") from None
    if steps.steps < 2:
        raise BudgetError(f'inputs at {place}: give a range of sizes, as in "1x{{128,256,512}} int64"')
    if not exponents:
        raise BudgetError(f'scaling at {place}: growth of what? Name the metric, as in macs="linear"')
    found = {}
    for metric, value in exponents.items():
        if metric not in METRICS:
            meant = nearest(metric, tuple(METRICS))
            raise BudgetError(
                f"{metric}= at {place}: no such metric. {f'Did you mean {meant}=?' if meant else ''}".rstrip()
            )
        try:
            found[metric] = parse_exponent(value, where)
        except MalformedLimit as error:
            raise BudgetError(f"{metric} = {shortened(value)} at {place}: {error}") from None
    return steps, found


def scaling_of(
    exponents: Mapping[str, Exponent], points: Sequence[tuple[int, Measurement]]
) -> Iterator[tuple[Scaling, Problem | None]]:
    """Yield for each metric how it grows over ``points``, and the problem where that is steeper than declared.

    The exponent is judged as it is shown, with two decimals.
    """
    for metric, declared in exponents.items():
        values = [(size, getattr(measurement, metric)) for size, measurement in points]
        if any(value is None for _, value in values):
            yield (
                Scaling(metric, declared.text, declared.value),
                Problem("not_measured", "error", declared.place, metric),
            )
            continue
        exponent = fitted(values)
        found = Scaling(metric, declared.text, declared.value, exponent, tuple(values))
        steeper = exponent is None or exponent > declared.value
        yield found, Problem("steeper", "error", declared.place, metric, scaling=found) if steeper else None


def fitted(points: Sequence[tuple[int, int]]) -> float | None:
    """Return the least-squares slope of log(value) over log(size), with two decimals.

    ``None`` where a metric that is zero at one size is not at another, which no power law does.
    """
    if not any(value for _, value in points):
        return 0.0
    if not all(value > 0 and size > 0 for size, value in points):
        return None
    xs, ys = [log(size) for size, _ in points], [log(value) for _, value in points]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)
    return round(slope, 2) + 0.0
