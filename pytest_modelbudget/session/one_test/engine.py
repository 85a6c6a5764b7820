"""What measures, with the formulas that the hooks of the project give."""

from __future__ import annotations

from types import ModuleType

from pytest_modelbudget.budgets import BudgetError
from pytest_modelbudget.session.state import Session


def engine(session: Session) -> ModuleType:
    """Return the package that measures, once the formulas of the project are registered.

    Raises BudgetError where a hook fails, or returns something else.
    """
    from pytest_modelbudget import counting

    if not session.knows_formulas:
        try:
            for formulas in session.config.hook.pytest_modelbudget_formulas():
                if not isinstance(formulas, dict):
                    kind = type(formulas).__name__
                    raise BudgetError(f'pytest_modelbudget_formulas returned {kind}; return a dict {{"ns::op": f}}')
                for operator, formula in formulas.items():
                    counting.formula(operator)(formula)
        except BudgetError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise BudgetError(f"the hook pytest_modelbudget_formulas failed: {kind}: {error}") from error
        session.knows_formulas = True
    return counting
