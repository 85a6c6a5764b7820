"""Shape rules: what the commonest operators give, by the specs of their arguments.

Meta kernels answer for every operator, but torch's are written in Python: the first one imports a symbolic algebra
system, which takes longer than everything else here, and some run for milliseconds. A rule answers the plain cases
(for most operators dense operands of one dtype), and returns None in all others; tests hold every rule against torch's
kernels.
"""

from __future__ import annotations

from pytest_modelbudget.counting.shape_run.rules import creation, elementwise, layers
from pytest_modelbudget.counting.shape_run.rules.table import SHAPE_RULES

__all__ = ["SHAPE_RULES", "creation", "elementwise", "layers"]
