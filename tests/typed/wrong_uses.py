"""What users get wrong, each with what a type checker has to say about its line."""

from __future__ import annotations

import torch
from torch import nn

import pytest_modelbudget
from pytest_modelbudget import Measurement, ModelBudget, measure


def misspelt_names() -> object:
    from pytest_modelbudget import mesure  # E: has no attribute "mesure"

    return mesure or pytest_modelbudget.BudgetExeeded  # E: has no attribute "BudgetExeeded"


def test_limits(model_budget: ModelBudget) -> None:
    net = nn.Linear(3, 4)
    model_budget(net, mac="4")  # E: Unexpected keyword argument "mac" for "__call__" of "ModelBudget"
    model_budget(net, macs=4.1)  # E: Argument "macs" to "__call__" of "ModelBudget" has incompatible type "float"
    model_budget(net, params=[25])  # E: Argument "params" to "__call__" of "ModelBudget" has incompatible type "list
    model_budget(net, (), None, "4.1G")  # E: Too many positional arguments for "__call__" of "ModelBudget"


def test_results(model_budget: ModelBudget, x: torch.Tensor) -> int:
    found = model_budget(nn.Linear(3, 4), x, macs="4.1G")
    found.params = 3  # E: "params" defined in "Measurement" is read-only
    print(found.mac)  # E: "Measurement" has no attribute "mac"
    return found.macs  # E: Incompatible return value type (got "int | None", expected "int")


def measuring(model: nn.Module, x: torch.Tensor) -> Measurement:
    measure(model, x, macs="4.1G")  # E: Unexpected keyword argument "macs" for "measure"
    measure(model, x, backward="yes")  # E: Argument "backward" to "measure" has incompatible type "str"
    return measure()  # E: Missing positional argument "model" in call to "measure"
