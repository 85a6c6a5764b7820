"""Make a PyTorch model's size and compute part of its tested contract.

The public names are loaded at first use, so that importing the package (which pytest does at every start) costs
nothing and never imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelbudget.budgets import BudgetError, BudgetExceeded
    from pytest_modelbudget.counting import formula, measure
    from pytest_modelbudget.measurement import Measurement, MeasurementError
    from pytest_modelbudget.session.one_test.fixture import ModelBudget

    __version__: str

__all__ = [
    "BudgetError",
    "BudgetExceeded",
    "Measurement",
    "MeasurementError",
    "ModelBudget",
    "__version__",
    "formula",
    "measure",
]

_HOMES = {
    "BudgetError": "budgets",
    "BudgetExceeded": "budgets",
    "Measurement": "measurement",
    "MeasurementError": "measurement",
    "ModelBudget": "session.one_test.fixture",
    "formula": "counting",
    "measure": "counting",
}

if not TYPE_CHECKING:  # a type checker would take every misspelt name for one that this function knows

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("pytest-modelbudget")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
