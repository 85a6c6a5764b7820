"""Measuring leaves nothing behind: by shapes or for real, when all goes well and when ``forward`` raises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import measure

from .case import Case
from .checks import RUNS, way
from .footprint import changes, snapshot, values
from .tensors import tensors_of

pytestmark = [pytest.mark.usefixtures("not_covered"), pytest.mark.slow]


class Boom(Exception):
    """What a model raises that fails in the middle."""


class Interrupted(nn.Module):
    """Runs a model, then fails before its own last layer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.last = nn.Identity()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.inner(*args, **kwargs)
        raise Boom


def with_gradients(model: nn.Module, *inputs: Any) -> None:
    """Give every leaf that may have a gradient one, as in the middle of a training step."""
    for leaf in [*model.parameters(), *tensors_of(inputs)]:
        if leaf.requires_grad and not isinstance(leaf, nn.parameter.UninitializedTensorMixin):
            leaf.grad = torch.ones_like(leaf)


def output_of(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    torch.manual_seed(2)
    return values(model(*args, **kwargs))


def test_nothing_changes_and_the_model_works_as_before(case: Case, runs: tuple[str, ...]) -> None:
    expected = output_of(case.model(), *case.inputs())
    model, (args, kwargs) = case.model(), case.inputs()
    with_gradients(model, args, kwargs)
    before = snapshot(model, args, kwargs)
    for name, run, measured, backward in measurements(case, model, runs):
        with way(name), RUNS[run]():
            measure(measured, args, kwargs, backward=backward)
            assert changes(before, snapshot(model, args, kwargs)) == []
    assert output_of(model, args, kwargs) == expected
    with way("a forward that raises"):
        check_that_nothing_changes_when_forward_raises(case, runs)


def measurements(case: Case, model: nn.Module, runs: tuple[str, ...]) -> Iterator[tuple[str, str, Any, bool]]:
    """Yield the ways to measure a model: a name, the run, what is measured, and whether with its backward."""
    training = case.training_macs is not None
    for run in RUNS:
        if run in runs or not training:
            yield f"forward, {run}", run, model, False
        if training:
            yield f"backward, {run}", run, model, True
        if run in runs:
            yield f"a factory, {run}", run, case.build, False


def check_that_nothing_changes_when_forward_raises(case: Case, runs: tuple[str, ...]) -> None:
    model, (args, kwargs) = Interrupted(case.model()), case.inputs()
    with_gradients(model, args, kwargs)
    before = snapshot(model, args, kwargs)
    for run in runs:
        with way(run):
            with RUNS[run](), pytest.raises(Boom):
                measure(model, args, kwargs, backward=case.training_macs is not None)
            assert changes(before, snapshot(model, args, kwargs)) == []


def changed_by(change: Any) -> list[str]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = snapshot(model)
    change(model)
    return [line.split(":")[0] for line in changes(before, snapshot(model))]


def test_the_helper_sees_statistics_gradients_and_random_numbers() -> None:
    assert {"model.1._buffers['running_mean']", "torch RNG"} <= set(changed_by(lambda model: model(torch.randn(3, 4))))
    assert "model.0._parameters['weight'].grad" in changed_by(lambda model: model[0](torch.ones(4)).sum().backward())


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda model: model[0].register_forward_hook(print), "model.0._forward_hooks"),
        (lambda model: model[1].eval(), "model.1.training"),
        (lambda model: setattr(model[0], "total_ops", 3), "model.0.total_ops"),
        (
            lambda model: setattr(model[0], "weight", nn.Parameter(model[0].weight.data)),
            "model.0._parameters['weight']",
        ),
        (lambda model: model[0].weight.data.zero_(), "model.0._parameters['weight']"),
        (lambda model: model[0].weight.requires_grad_(False), "model.0._parameters['weight']"),
        (lambda model: model[0].register_buffer("cache", torch.ones(2)), "model.0._buffers['cache']"),
        (lambda model: setattr(model, "forward", print), "model.forward"),
    ],
)
def test_the_helper_sees(change: Any, path: str) -> None:
    assert path in changed_by(change)


def test_the_helper_sees_patched_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changed_by(lambda model: monkeypatch.setattr(nn.functional, "linear", print)) == [
        "torch.nn.functional.linear"
    ]
    assert changed_by(lambda model: monkeypatch.setattr(nn.init, "zeros_", print)) == ["torch.nn.init.zeros_"]
    assert changed_by(lambda model: monkeypatch.setattr(nn.Module, "__call__", print)) == ["torch.nn.Module.__call__"]
    assert changed_by(lambda model: monkeypatch.setattr(torch, "matmul", print)) == ["torch.matmul"]


def test_the_helper_sees_nothing_where_nothing_happened() -> None:
    assert changed_by(lambda model: model.eval().train()) == []
