"""What a forward does to NumPy arrays in place is undone: their values, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

from pytest_modelbudget.counting import force_real_run, measure

from .shape_run.model import Model, rows


def refilled(array: Any) -> None:
    array[:] = 7


def reshaped(array: Any) -> None:
    array.shape = (2, 3)
    array.fill(7)


def resized(array: Any) -> None:
    array.resize((4, 5), refcheck=False)


def of_another_dtype(array: Any) -> None:
    array.dtype = numpy.int32
    array += 1


def read_only(array: Any) -> None:
    array += 1
    array.flags.writeable = False


def all_at_once(array: Any) -> None:
    array.resize(20, refcheck=False)
    array.dtype = numpy.int16
    array.shape = (8, 10)
    array.flags.writeable = False


@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype)")
@pytest.mark.parametrize("change", [refilled, reshaped, resized, of_another_dtype, read_only, all_at_once])
@pytest.mark.parametrize("raises", [False, True])
def test_arrays_are_as_before(change: Callable[[Any], None], raises: bool) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        change(self.array)
        if raises:
            raise KeyError("after the change")
        return self.linear(x)

    model = Model(forward)
    model.array = array = numpy.arange(6.0)
    for given in (model, lambda: model):
        for forced in (False, True):
            try:
                with force_real_run() if forced else torch.no_grad():
                    assert measure(given, rows(3)).macs == 3 * 4 * 4
            except KeyError:
                assert raises
            assert (array.tolist(), array.dtype) == ([0, 1, 2, 3, 4, 5], numpy.float64)
            assert array.flags.writeable
