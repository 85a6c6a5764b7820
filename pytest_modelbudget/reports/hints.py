"""How a limit was probably meant that a model is a little above, or far above."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from pytest_modelbudget.budgets import Limit
from pytest_modelbudget.budgets.status import Finding
from pytest_modelbudget.measurement import Measurement, rounded_up
from pytest_modelbudget.metrics import METRICS


def hints(found: Finding, measurement: Measurement) -> Iterator[str]:
    """Tell those who took a figure from a paper what it is there: MACs that are called FLOPs, or rounded down."""
    macs = {"flops": measurement.macs, "training_flops": measurement.training_macs}.get(found.metric)
    limit, value = found.limit, found.value
    if limit is None or value is None or not found.over:
        return
    figure, rounded = limit.text.replace(" ", "").replace(",", "_"), limit.value + _half_of_last_digit(limit)
    if value <= rounded and METRICS[found.metric].has_parts and not figure.isdecimal():
        digits = sum(letter.isdecimal() for letter in figure.lstrip("0."))
        holds = rounded_up(value, found.metric, digits + 1)
        yield f"hint: {value:,} is written {figure} in papers; a limit that holds is {holds}"
    elif macs is not None and measurement.flops_per_mac == 2 and limit.value * 4 <= macs * 5 and macs <= rounded:
        meant = found.metric.replace("flops", "macs")
        yield f"hint: {measurement.name}'s {limit.text} are MACs; did you mean {meant}='{figure}'?"


def _half_of_last_digit(limit: Limit) -> Fraction:
    """Return what rounding may have taken away: 0.05 G of a limit that was declared as 4.1 G; never more than 5%."""
    number = limit.text.partition(" ")[0].replace(",", "")
    decimals = len(number.partition(".")[2])
    unit = Fraction(limit.value, 1) / Fraction(number) if limit.value else Fraction(1)
    return min(Fraction(1, 2 * 10**decimals) * unit, Fraction(limit.value, 20))
