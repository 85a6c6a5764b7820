"""Limits: the largest value allowed for one metric, as people write it and where they wrote it."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from msgspec import Struct

from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.metrics import METRICS

_SI: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY: Final = {f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTP", start=1)}
_NUMBER: Final = re.compile(r"(?P<number>[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)(?: ?(?P<suffix>[A-Za-z]+(?: [A-Za-z]+)?))?")
_LONGEST: Final = 60  # far above any count, far below what makes Python slow


class Limit(Struct, frozen=True):
    """The largest value allowed for one metric; ``text`` is the limit as it was declared (``4.1 G``)."""

    value: int
    text: str
    place: Place


def parse_limit(metric: str, value: object, place: Place) -> Limit:
    """Return the limit that ``value`` declares for ``metric``.

    Raises MalformedLimit, which says what is wrong and shows a limit that works; the caller adds text and place.
    """
    if isinstance(value, bool):
        raise _refusal(metric, "a limit is a number")
    if isinstance(value, int):
        exact = int(value)  # of an enumeration, for example
        if exact < 0:
            raise _refusal(metric, "a limit is not negative")
        return Limit(exact, _shown(metric, str(exact), ""), place)
    if isinstance(value, float):
        raise _refusal(metric, "a float is not exact; write an int or a string")
    if not isinstance(value, str):
        raise _refusal(metric, f"a limit is an int or a string, not {type(value).__name__}")
    return _parse_text(metric, str.__str__(value), place)


def reads_as_limit(value: object) -> bool:
    """Return whether ``value`` is a string of our grammar for some metric (``"4.1G"``)."""
    nowhere = Place("")
    return isinstance(value, str) and any(_accepts(metric, value, nowhere) for metric in METRICS)


def shortened(value: object) -> str:
    """Return the ``repr`` of a value that a person gave, bounded."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _accepts(metric: str, text: str, place: Place) -> bool:
    try:
        parse_limit(metric, text, place)
    except MalformedLimit:
        return False
    return True


def _parse_text(metric: str, text: str, place: Place) -> Limit:
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise _refusal(metric, _reason_for_no_number(text))
    number, suffix = match["number"], match["suffix"] or ""
    prefix = _prefix_of(metric, suffix)
    if prefix is None:
        raise _refusal(metric, _reason_for_suffix(metric, suffix))
    exact = Fraction(number.replace("_", "")) * {**_SI, **_BINARY, "B": 10**9}[prefix]
    if exact.denominator != 1:
        raise _refusal(metric, "a limit is a whole number")
    return Limit(exact.numerator, _shown(metric, number if prefix else str(exact), prefix), place)


def _prefix_of(metric: str, suffix: str) -> str | None:
    """Return the prefix of ``suffix`` (``G`` of ``GMACs``), or ``None`` where the metric does not accept it."""
    prefixes = {*_SI, *(_BINARY if METRICS[metric].binary else ()), *("B" if METRICS[metric].billions else "")}
    for unit in ("", *METRICS[metric].units):
        prefix = suffix.removesuffix(unit).rstrip(" ")
        separated = suffix.endswith(f" {unit}") and prefix != ""
        if unit == "B" and suffix == "kB" and METRICS[metric].binary:
            return "K"
        if not suffix.endswith(unit) or prefix not in prefixes or (prefix.endswith("i") and not unit):
            continue
        # "7B" is seven billion or seven bytes: in a limit on bytes the unit needs its prefix.
        if unit == "B" and (prefix == "" or separated):
            continue
        return prefix
    return None


def _shown(metric: str, number: str, prefix: str) -> str:
    shown = number if prefix else f"{int(number):,}"
    return f"{shown} {prefix}{METRICS[metric].unit}".rstrip()


def _reason_for_no_number(text: str) -> str:
    if text.lstrip().startswith("-"):
        return "a limit is not negative"
    return "a limit is an int, or a number with K, M, G, T or P"


def _reason_for_suffix(metric: str, suffix: str) -> str:
    if suffix.endswith("FLOPS"):
        return "FLOPS are operations per second, a speed; a count is written FLOPs"
    for other, known in METRICS.items():
        named = [unit for unit in known.units if len(unit) > 1 and suffix.endswith(unit)]
        if named and known.units != METRICS[metric].units:
            never = ", and one is never converted into the other" if {metric, other} == {"macs", "flops"} else ""
            return f"{named[0]} is the unit of {other}, not of {metric}{never}"
    if suffix == "B":
        meant = (
            "write bytes as a plain number, or KB, MB or GB"
            if METRICS[metric].binary
            else "only parameters are counted in B; write G"
        )
        return f"B is ambiguous here: {meant}"
    if suffix.upper() in _SI:
        return f"prefixes are case-sensitive: write {suffix.upper()}"
    return f"{suffix!r} is not a prefix or unit of {metric}"


def _refusal(metric: str, reason: str) -> MalformedLimit:
    return MalformedLimit(f'{reason}. This works: {metric} = "{METRICS[metric].example}"')
