"""What a model may cost: limits, where they are declared, which apply, and whether a measurement keeps them.

Pure functions from values to values, which know neither torch nor pytest.
"""

from pytest_modelbudget.budgets.config import Table
from pytest_modelbudget.budgets.declared import DeclaredModel
from pytest_modelbudget.budgets.errors import BudgetError, TableError
from pytest_modelbudget.budgets.judging import Baseline, BudgetExceeded, judge
from pytest_modelbudget.budgets.limits import Limit, parse_limit
from pytest_modelbudget.budgets.merging import Budget, budget_for, stale_entries
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.rules import Rules, rules_of_call, rules_of_mark
from pytest_modelbudget.budgets.verdicts import Check, Problem, Verdict

__all__ = [
    "Baseline",
    "Budget",
    "BudgetError",
    "BudgetExceeded",
    "Check",
    "DeclaredModel",
    "Limit",
    "Place",
    "Problem",
    "Rules",
    "Table",
    "TableError",
    "Verdict",
    "budget_for",
    "judge",
    "parse_limit",
    "rules_of_call",
    "rules_of_mark",
    "stale_entries",
]
