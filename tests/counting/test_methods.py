"""Other methods than forward, on inputs of any kind: whose cost it is, and what is refused."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import MeasurementError, measure
from pytest_modelbudget.counting.measuring import force_real_run

ONE = 3 * 4 * 4  # MACs of one Linear(4, 4) on 3 rows
X = torch.ones(3, 4)


def kind(real: bool) -> AbstractContextManager[None]:
    return force_real_run() if real else nullcontext()


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 4)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)

    def training_step(self, batch: torch.Tensor, index: int = 0) -> dict[str, Any]:
        loss = self.decoder(self.encode(batch)).sum()
        return {"loss": loss, "log": {"loss": loss.detach()}}

    def twice(self, x: torch.Tensor) -> torch.Tensor:
        return self(self(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))

    def generate(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            x = self.encoder(x)
            if bool((x.abs().sum() < 0).item()):
                break
        return x


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("model", [Task, Task()], ids=["factory", "instance"])
@pytest.mark.parametrize(
    ("method", "macs"), [("forward", 2 * ONE), ("encode", ONE), ("training_step", 2 * ONE), ("twice", 4 * ONE)]
)
def test_the_cost_of_a_method(model: Any, method: str, macs: int, real: bool) -> None:
    with kind(real):
        found = measure(model, X, method=method)
    assert (found.macs, found.run) == (macs, "real" if real else "shape")
    assert found.params == 2 * (4 * 4 + 4)  # the model is the whole
    assert sum(node.own.macs or 0 for node in found.modules.walk()) == macs
    assert found.modules.calls == (3 if method == "twice" else 1)


def test_training_sums_the_loss_that_a_method_returns_in_a_dict() -> None:
    # Forward, and per layer a gradient for its weights; for its input where an earlier layer has weights.
    assert measure(Task, X, method="training_step", backward=True).training_macs == 2 * ONE + 2 * ONE + ONE


def test_a_loop_over_values_is_a_real_run() -> None:
    found = measure(Task, X, method="generate")
    assert (found.macs, found.run) == (4 * ONE, "real")


def test_a_method_leaves_nothing() -> None:
    model = Task()
    before = dict(vars(model))
    measure(model, X, method="training_step", backward=True)
    assert vars(model) == before
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": Task().encode}, 'encode is a method of Task: pass the model, and method="encode"'),
        ({"model": Task, "method": "encod"}, r"Task has no method encod; did you mean encode\?"),
        ({"model": Task, "method": "nothing_like_it"}, "Task has no method nothing_like_it"),
        ({"model": Task, "method": "encoder"}, 'encoder is a part of Task, not a method; limit it with module="encod'),
        ({"model": Task, "method": "a.b"}, "method must be the name of a method"),
        ({"model": Task, "method": Task.encode}, "method must be the name of a method"),
    ],
)
def test_what_is_no_method(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        measure(args=X, **arguments)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        if mask is not None and not mask.all():
            raise ValueError("a mask of ones was asked for")
        return self.last(self.table(ids))


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("size", ["3x7 int64", ["3x7 int64"], {"ids": "3x7 int64", "mask": "3x7 bool"}])
def test_specs_give_integers_and_booleans(size: Any, real: bool) -> None:
    with kind(real):
        found = measure(Tokens, input_size=size)
    assert found.macs == 3 * 7 * 4 * 2
    assert [str(spec).split(" ", 1)[1] for spec in found.inputs] == ["3x7 int64", "3x7 bool"][: len(found.inputs)]


def test_integers_are_zeros() -> None:
    class Repeats(nn.Linear):
        def forward(self, x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            for _ in range(int(times[0]) + 1):
                x = super().forward(x)
            return x

    assert measure(Repeats(4, 4), input_size=["3x4", "1 int64"]).macs == ONE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("real", [False, True])
def test_without_a_dtype_an_input_has_that_of_the_weights(dtype: torch.dtype, real: bool) -> None:
    with kind(real):
        found = measure(lambda: nn.Linear(4, 4, dtype=dtype), input_size="3x4")
    assert found.macs == ONE
    assert found.inputs[0].dtype == str(dtype).removeprefix("torch.")


def test_a_dtype_of_its_own() -> None:
    assert measure(nn.Identity(), input_size="2x3 float64").inputs[0].dtype == "float64"


@pytest.mark.parametrize("size", ["1x{2,4}", "1xb", "1x3 flot32", {"x": "1x"}, "3x", "1x3 int64 int64"])
def test_a_malformed_spec(size: Any) -> None:
    with pytest.raises(ValueError, match=r"This works|belongs to scaling"):
        measure(nn.Identity(), input_size=size)


def test_an_error_in_a_method_is_the_models_own() -> None:
    with pytest.raises(ValueError, match="a mask of ones was asked for"):
        measure(Tokens, (torch.zeros(3, 7, dtype=torch.int64), torch.zeros(3, 7, dtype=torch.bool)))
    with pytest.raises(MeasurementError):
        measure(Task().to("meta"), X, method="generate")
