"""Every conformance case, family by family."""

from __future__ import annotations

from ..case import Case
from . import linear

FAMILIES = (linear,)
CASES: tuple[Case, ...] = tuple(case for module in FAMILIES for case in module.cases)
