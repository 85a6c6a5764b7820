"""A factory that changes a model which existed before leaves it as it was where its own parts have no data."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure
from pytest_modelbudget.measurement import MeasurementError

from .shape_run.model import rows

BACKBONE = 6 * 4 * 4  # a linear layer of 4 features to 4, on 6 rows


def replaces(backbone: nn.Sequential) -> nn.Module:
    backbone[1] = nn.Linear(4, 2)
    return backbone


def adds(backbone: nn.Sequential) -> nn.Module:
    backbone.append(nn.Linear(2, 3))
    return backbone


def replaces_twice(backbone: nn.Sequential) -> nn.Module:
    backbone[1] = nn.Linear(4, 7)
    return nn.Sequential(replaces(backbone), nn.Linear(2, 5))


def names(backbone: nn.Sequential) -> nn.Module:
    backbone.scale = nn.Parameter(torch.randn(2))
    backbone[0].weight = nn.Parameter(torch.randn(4, 4))
    return backbone


CHANGES: dict[Callable[[nn.Sequential], nn.Module], int] = {
    replaces: BACKBONE + 6 * 4 * 2,
    adds: BACKBONE + 6 * 4 * 2 + 6 * 2 * 3,
    replaces_twice: BACKBONE + 6 * 4 * 2 + 6 * 2 * 5,
    names: BACKBONE + 6 * 4 * 2,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_a_factory_changes_is_as_it_was(change: Callable[[nn.Sequential], nn.Module]) -> None:
    backbone = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    before = {name: id(tensor) for name, tensor in backbone.named_parameters()}
    for _ in range(2):
        found = measure(lambda: change(backbone), rows(6))
        assert (found.macs, found.run) == (CHANGES[change], "shape")
        assert {name: id(tensor) for name, tensor in backbone.named_parameters()} == before
        assert backbone(rows(6)).shape == (6, 2)


def test_a_factory_that_fails_leaves_it_as_it_was_too() -> None:
    backbone = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))

    def factory() -> nn.Module:
        replaces(backbone)
        raise ValueError("no such head")

    with pytest.raises(ValueError, match="no such head"):
        measure(factory, rows(6))
    assert backbone(rows(6)).shape == (6, 2)


def test_a_new_model_that_somebody_keeps_is_said_and_not_taken_apart() -> None:
    kept: list[nn.Module] = []

    def factory() -> nn.Module:
        kept.append(nn.Sequential(nn.Linear(4, 4)))
        return kept[-1]

    with pytest.raises(MeasurementError, match="outlived the measurement"):
        measure(factory, rows(6))
    assert len(kept[0]) == 1


class Importing(OrderedDict):  # type: ignore[type-arg]
    """A table that does something when it is asked for its values, as those of transformers that import them."""

    def values(self) -> Any:
        raise AssertionError("nobody is to ask")

    __iter__ = items = values


TABLE = Importing()


class Registry:
    table = TABLE

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("nobody is to ask")


REGISTRY = Registry()


def test_what_a_factory_refers_to_is_not_asked_for_anything() -> None:
    def factory() -> nn.Module:
        assert TABLE is Registry.table is type(REGISTRY).table
        return nn.Linear(4, 4)

    assert measure(factory, rows(6)).run == "shape"
