"""What a model may cost: limits, where they are declared, which apply, and whether a measurement keeps them.

Pure functions from values to values; this room knows neither torch nor pytest.
"""

from pytest_modelbudget.budgets.declarations import Declaration, declared_by_mark, declared_limits
from pytest_modelbudget.budgets.errors import BudgetError, BudgetExceeded, TableError
from pytest_modelbudget.budgets.gathering import Row, conflicts, gather
from pytest_modelbudget.budgets.judging import MetricVerdict, Verdict, judge
from pytest_modelbudget.budgets.limits import Limit, Place, parse_limit
from pytest_modelbudget.budgets.merging import Budget, budget_for
from pytest_modelbudget.budgets.table import Entry, Table

__all__ = [
    "Budget",
    "BudgetError",
    "BudgetExceeded",
    "Declaration",
    "Entry",
    "Limit",
    "MetricVerdict",
    "Place",
    "Row",
    "Table",
    "TableError",
    "Verdict",
    "budget_for",
    "conflicts",
    "declared_by_mark",
    "declared_limits",
    "gather",
    "judge",
    "parse_limit",
]
