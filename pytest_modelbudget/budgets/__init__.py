"""What a model may cost: limits, where they are declared, which apply, and whether a measurement keeps them.

Pure functions from values to values, which know neither torch nor pytest.
"""

from pytest_modelbudget.budgets.config import Table
from pytest_modelbudget.budgets.declared import DeclaredModel
from pytest_modelbudget.budgets.errors import BudgetError, TableError
from pytest_modelbudget.budgets.judging import Baseline, BudgetExceeded, judge, judge_scaling
from pytest_modelbudget.budgets.limits import Limit, parse_limit
from pytest_modelbudget.budgets.merging import Budget, budget_for, stale_entries, unrun_declarations
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.rules import Rules, rules_of_call, rules_of_mark
from pytest_modelbudget.budgets.scaling import Exponent, scaling_of_call
from pytest_modelbudget.budgets.verdicts import Check, Problem, Scaling, Verdict

__all__ = [
    "Baseline",
    "Budget",
    "BudgetError",
    "BudgetExceeded",
    "Check",
    "DeclaredModel",
    "Exponent",
    "Limit",
    "Place",
    "Problem",
    "Rules",
    "Scaling",
    "Table",
    "TableError",
    "Verdict",
    "budget_for",
    "judge",
    "judge_scaling",
    "parse_limit",
    "rules_of_call",
    "rules_of_mark",
    "scaling_of_call",
    "stale_entries",
    "unrun_declarations",
]
