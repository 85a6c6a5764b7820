"""Make a PyTorch model's size and compute part of its tested contract.

The public names are loaded at first use, so that importing the package (which pytest does at every start) costs
nothing and never imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_modelbudget.budgets import BudgetExceeded
    from pytest_modelbudget.counting import formula, measure
    from pytest_modelbudget.measurement import Measurement

__all__ = ["BudgetExceeded", "Measurement", "formula", "measure"]

_HOMES = {"BudgetExceeded": "budgets", "Measurement": "measurement", "formula": "counting", "measure": "counting"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
