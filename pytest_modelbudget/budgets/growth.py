"""How far a metric may rise above its baseline."""

from __future__ import annotations

import re
from fractions import Fraction

from msgspec import Struct

from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.places import Place

_PERCENT = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?%")


class Growth(Struct, frozen=True):
    """A share of the baseline, exactly ``numerator / denominator``; ``text`` is how it was declared (``1%``)."""

    numerator: int
    denominator: int
    text: str
    place: Place

    def allowed(self, before: int, floor: Limit | None = None) -> int:
        """Return the largest value that a metric may have after ``before``.

        The allowed rise is the larger one of ``floor`` and the share of the baseline, rounded down.
        """
        return before + max(before * self.numerator // self.denominator, floor.value if floor else 0)


def parse_growth(value: object, place: Place) -> Growth:
    """Return the growth that ``value`` declares. Raises MalformedLimit, which shows one that works."""
    if not isinstance(value, str) or not _PERCENT.fullmatch(value):
        raise MalformedLimit('growth is a percentage of the baseline. This works: growth = "1%"')
    share = Fraction(value[:-1]) / 100
    return Growth(share.numerator, share.denominator, value, place)
