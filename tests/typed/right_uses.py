"""What users write: all of it is right for a type checker, and nothing is Any."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from typing_extensions import assert_type

import pytest_modelbudget
from pytest_modelbudget import (
    BudgetError,
    BudgetExceeded,
    Measurement,
    MeasurementError,
    ModelBudget,
    __version__,
    formula,
    measure,
)

assert_type(__version__, str)
assert_type(pytest_modelbudget.__version__, str)


class Net(nn.Module):
    pass


def resnet50() -> nn.Module:
    return Net()


def measured_by_shape() -> Measurement:
    found = measure(resnet50, input_size=(1, 3, 224, 224))
    assert_type(found, Measurement)
    assert_type(found.name, str)
    assert_type(found.params, int)
    assert_type(found.trainable_params, int)
    assert_type(found.weight_bytes, int)
    assert_type(found.macs, int | None)
    assert_type(found.flops, int | None)
    assert_type(found.training_macs, int | None)
    assert_type(found.training_flops, int | None)
    assert_type(found.complete, bool)
    assert_type(found.tree(depth=2), str)
    assert_type(found.table(), str)
    return found


def measured_with_inputs(model: nn.Module, x: torch.Tensor) -> int:
    measure(model, x)
    measure(model, (x,), {"mask": x}, name="encoder", backward=True, flops_per_mac=1)
    measure(model, kwargs={"x": x})
    measure(Net)
    try:
        return measure(lambda: Net()).params
    except MeasurementError as error:
        raise SystemExit(str(error)) from error


def test_every_limit(model_budget: ModelBudget) -> None:
    found = model_budget(
        resnet50,
        input_size=(1, 3, 224, 224),
        name="resnet",
        backward=True,
        params=25_557_032,
        trainable_params="25.6M",
        macs="4.1G",
        flops=None,
        training_macs="12.3G",
        training_flops=None,
        weight_bytes="96 MiB",
    )
    assert_type(found, Measurement)
    assert model_budget(resnet50(), (torch.zeros(1, 3),), {"mask": None}).params


def test_an_excess(model_budget: ModelBudget) -> None:
    limit: int | str | None = "4.1G"
    with pytest.raises(BudgetExceeded):
        model_budget(resnet50, macs=limit)


def failures(excess: BudgetExceeded, mistake: BudgetError) -> tuple[AssertionError, ValueError]:
    return excess, mistake


@formula("my_ops::fused_linear")
def fused_linear(x: tuple[int, ...], weight: tuple[int, ...], *, out_shape: tuple[int, ...]) -> int:
    return out_shape[0] * x[-1] * weight[0]


assert_type(fused_linear((1, 2), (3, 4), out_shape=(5,)), int)
