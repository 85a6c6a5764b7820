"""The bytes of an optimizer's state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import MeasurementError, measure
from pytest_modelbudget.counting.measuring import force_real_run

adafactor = getattr(torch.optim, "Adafactor", None)
without_adafactor = pytest.mark.skipif(adafactor is None, reason="this torch has no Adafactor")
WEIGHTS = 8 * 32 + 32 + 32 * 4 + 4  # 420, in four tensors


def chain() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))


def frozen() -> nn.Module:
    model = chain()
    model[0].requires_grad_(False)  # type: ignore[operator, index]
    return model


def partly_used() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(8, 32), nn.Linear(8, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)  # type: ignore[no-any-return]

    return Net()


@pytest.mark.parametrize(
    ("build", "optimizer", "nbytes"),
    [
        # two moments for each weight, and one float32 step for each of the tensors
        (chain, torch.optim.AdamW, 2 * WEIGHTS * 4 + 4 * 4),
        (chain, "torch.optim:AdamW", 2 * WEIGHTS * 4 + 4 * 4),
        (chain, {"factory": "torch.optim:AdamW", "arguments": {"amsgrad": True}}, 3 * WEIGHTS * 4 + 4 * 4),
        (chain, torch.optim.SGD, 0),
        (chain, partial(torch.optim.SGD, lr=0.1, momentum=0.9), WEIGHTS * 4),
        # a row and a column of each matrix, the whole of each vector, and four steps
        pytest.param(chain, adafactor, (32 + 8 + 4 + 32 + 32 + 4) * 4 + 4 * 4, marks=without_adafactor),
        (frozen, torch.optim.AdamW, 2 * (32 * 4 + 4) * 4 + 2 * 4),
        (partly_used, torch.optim.AdamW, 2 * (8 * 32 + 32) * 4 + 2 * 4),  # no gradient, no state
    ],
    ids=["adamw", "name", "table", "sgd", "momentum", "adafactor", "frozen", "unused"],
)
@pytest.mark.parametrize("real", [False, True], ids=["shape", "real"])
def test_state_after_one_step(build: Callable[[], nn.Module], optimizer: Any, nbytes: int, real: bool) -> None:
    model = build()
    for measured in (build, model):
        if real:
            with force_real_run():
                found = measure(measured, torch.zeros(4, 8), optimizer=optimizer, memory=True)
        else:
            found = measure(measured, torch.zeros(4, 8), optimizer=optimizer)
        assert found.optimizer_bytes == nbytes
        assert found.training_macs is not None
    assert all(weight.grad is None for weight in model.parameters())


def test_weights_in_bfloat16() -> None:
    found = measure(chain, inputs=(4, 8), dtype="bfloat16", optimizer=torch.optim.AdamW)
    assert found.optimizer_bytes == 2 * WEIGHTS * 2 + 4 * 4


def test_without_inputs_or_gradients_nothing_is_known() -> None:
    assert measure(chain, optimizer=torch.optim.AdamW).optimizer_bytes is None
    assert measure(nn.ReLU, torch.zeros(4), optimizer=torch.optim.AdamW).optimizer_bytes is None


def test_a_default_device_does_not_matter() -> None:
    with torch.device("meta"):
        found = measure(chain, inputs=(4, 8), optimizer=torch.optim.AdamW)
    assert found.optimizer_bytes == 2 * WEIGHTS * 4 + 4 * 4


def test_random_numbers_are_left() -> None:
    class Noisy(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            torch.rand(1).item()
            return super().step(closure)

    before = torch.get_rng_state()
    measure(chain, inputs=(4, 8), optimizer=Noisy)
    assert torch.equal(before, torch.get_rng_state())


def test_what_the_optimizer_raises() -> None:
    with pytest.raises(MeasurementError, match="the optimizer failed: ValueError: Invalid learning rate"):
        measure(chain, inputs=(4, 8), optimizer=partial(torch.optim.AdamW, lr=-1.0))
    with pytest.raises(TypeError, match="optimizer is a callable of parameters"):
        measure(chain, inputs=(4, 8), optimizer=3)


def test_an_optimizer_of_the_weights_of_a_model_makes_no_step() -> None:
    model = chain()
    model(torch.ones(1, 8)).sum().backward()
    before = [weight.detach().clone() for weight in model.parameters()]
    with pytest.raises(MeasurementError, match="it holds other parameters than those that it was called with"):
        measure(model, inputs=(4, 8), optimizer=lambda _: torch.optim.SGD(model.parameters(), lr=1.0))
    assert all(map(torch.equal, before, model.parameters()))


def test_an_optimizer_that_computes_with_numpy() -> None:
    class Numpy(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            for weight in self.param_groups[0]["params"]:
                self.state[weight]["moment"] = torch.from_numpy(weight.grad.numpy() * 0.9)

    assert measure(chain, inputs=(4, 8), optimizer=Numpy).optimizer_bytes == WEIGHTS * 4
