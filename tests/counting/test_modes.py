"""In which mode a model is measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.counting.measuring import force_real_run


class GoogLeNet(nn.Module):
    """Has an auxiliary head in train mode: 3 rows x (8 x 4) MACs, and there 3 x (4 x 2) more."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.norm, self.aux = nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.norm(self.trunk(x))
        return (x, self.aux(x)) if self.training else x

    def training_step(self, x: torch.Tensor) -> Any:
        return self(x)[0].sum() if self.training else self(x).sum()


EVAL, TRAIN = 3 * 8 * 4, 3 * (8 * 4 + 4 * 2)


@pytest.fixture(params=["shape", "real"])
def run(request: pytest.FixtureRequest) -> Any:
    if request.param == "real":
        with force_real_run():
            yield request.param
    else:
        yield request.param


@pytest.mark.parametrize(
    ("how", "mode"),
    [
        ({}, "eval"),
        ({"train": True}, "train"),
        ({"train": False}, "eval"),
        ({"backward": True}, "train"),
        ({"backward": True, "train": False}, "eval"),
        ({"method": "training_step"}, "train"),
        ({"method": "training_step", "train": False}, "eval"),
    ],
)
def test_what_is_built_runs_in_eval_mode_unless_it_is_trained(how: dict[str, Any], mode: str, run: str) -> None:
    found = measure(GoogLeNet, inputs=(3, 8), **how)
    assert (found.mode, found.macs, found.run) == (mode, EVAL if mode == "eval" else TRAIN, run)


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("train", [None, True, False])
def test_an_instance_runs_as_it_is_and_is_left_so(is_training: bool, train: bool | None, run: str) -> None:
    model = GoogLeNet().train(is_training)
    model.norm.train(not is_training)  # as people freeze norms
    found = measure(model, inputs=(3, 8), train=train)
    trains = is_training if train is None else train
    assert (found.mode, found.macs, found.run) == ("train", TRAIN, run) if trains else ("eval", EVAL, run)
    assert (model.training, model.norm.training, model.trunk.training) == (is_training, not is_training, is_training)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is")
def test_scripted_modules_are_left_in_their_modes() -> None:
    model = torch.jit.script(nn.Sequential(nn.Linear(8, 4), nn.Dropout()))
    list(model.children())[1].eval()
    assert measure(model, inputs=(3, 8), train=False).mode == "eval"
    assert [model.training, *(child.training for child in model.children())] == [True, True, False]


def test_a_model_that_refuses_a_mode_has_none() -> None:
    class Exported(nn.Linear):
        def train(self, mode: bool = True) -> Any:
            raise NotImplementedError("calling train() is not supported")

    found = measure(lambda: Exported(8, 4), inputs=(3, 8))
    assert (found.mode, found.macs) == (None, 3 * 8 * 4)
    with pytest.raises(NotImplementedError):
        measure(lambda: Exported(8, 4), inputs=(3, 8), train=False)


def test_without_a_run_there_is_no_mode() -> None:
    assert measure(GoogLeNet).mode is None


def test_a_model_that_raises_in_one_mode_gets_the_hint() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel") as caught:
        measure(GoogLeNet, inputs=(1, 8), train=True)
    assert caught.value.__notes__[-1] == "in train mode; train=False measures in eval mode"


@pytest.mark.parametrize(("given", "name"), [("bfloat16", "bfloat16"), (torch.float16, "float16")])
def test_what_is_built_is_cast(given: Any, name: str, run: str) -> None:
    found = measure(GoogLeNet, inputs=(3, 8), dtype=given)
    # weights and biases of both layers, the norm's weight, bias, mean and variance, and its count of batches
    assert found.weight_bytes == 2 * (8 * 4 + 4 + 4 * 2 + 2 + 4 * 4) + 8
    assert (found.inputs[0].dtype, found.macs) == (name, EVAL)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"train": 1}, "train is True, False, or None"),
        ({"dtype": "int8"}, "dtype is one of float32"),
        ({"dtype": "bf16"}, "dtype is one of float32"),
    ],
)
def test_what_is_no_mode_and_no_dtype(how: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        measure(GoogLeNet, inputs=(3, 8), **how)


def test_an_instance_is_not_cast() -> None:
    with pytest.raises(TypeError, match=r"pass a factory, or the model that model.to\(torch.bfloat16\) returns"):
        measure(GoogLeNet(), inputs=(3, 8), dtype="bfloat16")


def test_a_model_that_existed_before_is_cast_for_the_measurement_alone() -> None:
    model = nn.LSTM(8, 4)
    before = dict(model.named_parameters())
    found = measure(lambda: model, inputs=(2, 3, 8), dtype="bfloat16")
    # gates x (input and hidden products and two biases); 2 steps of 3 rows
    assert found.weight_bytes == 2 * 4 * (4 * 8 + 4 * 4 + 2 * 4)
    assert found.macs == 2 * 3 * 4 * (4 * 8 + 4 * 4)
    after = dict(model.named_parameters())
    assert all(after[name] is weight and weight.dtype is torch.float32 for name, weight in before.items())
    assert model(torch.zeros(2, 3, 8))[0].dtype is torch.float32


def test_lazy_weights_are_cast_too() -> None:
    found = measure(lambda: nn.LazyLinear(4), inputs=(3, 8), dtype="bfloat16")
    assert (found.weight_bytes, found.macs) == (2 * (8 * 4 + 4), 3 * 8 * 4)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
        self.head.weight = self.words.weight
        self.weights = [self.head.weight]

    def forward(self, ids: torch.Tensor) -> Any:
        return self.words(ids) @ self.weights[0].T


@pytest.mark.parametrize("existed", [False, True])
def test_weights_that_are_tied_or_held_elsewhere_are_cast_as_one(run: str, existed: bool) -> None:
    model = Tied()
    found = measure((lambda: model) if existed else Tied, inputs="2x3 int64", dtype="bfloat16")
    assert (found.params, found.weight_bytes, found.macs) == (40, 80, 2 * 3 * 4 * 10)
    assert model.words.weight is model.head.weight is model.weights[0]
    assert model.words.weight.dtype is torch.float32


class FromZeros(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


def test_weights_with_known_values_are_cast_without_a_real_run() -> None:
    by_us = measure(FromZeros, inputs="2x4", dtype="bfloat16")
    by_itself = measure(lambda: FromZeros().to(torch.bfloat16), inputs="2x4")
    assert by_us.run == by_itself.run == "shape"
    assert by_us.weight_bytes == by_itself.weight_bytes == 2 * 4 * 4


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_scripted_model_is_cast_too() -> None:
    model = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    found = measure(lambda: model, inputs="2x4", dtype="bfloat16")
    assert (found.weight_bytes, found.macs) == (2 * (20 + 8 + 8) + 8, 2 * 4 * 4)
    assert {weight.dtype for weight in (*model.parameters(), *model.buffers())} == {torch.float32, torch.int64}


class InItsOwnMode(GoogLeNet):
    def train(self, mode: bool = True) -> InItsOwnMode:
        return self


def test_the_mode_is_the_one_in_which_the_model_is() -> None:
    assert measure(InItsOwnMode, inputs=(3, 8)).mode == "train"


class NeverInEvalMode(GoogLeNet):
    def train(self, mode: bool = True) -> NeverInEvalMode:
        raise RuntimeError("trains for ever")


def test_a_model_that_cannot_be_put_into_the_mode_gets_the_hint() -> None:
    with pytest.raises(RuntimeError, match="trains for ever") as caught:
        measure(NeverInEvalMode, inputs=(3, 8))
    assert "in eval mode; train=True measures in train mode" in caught.value.__notes__
    assert measure(NeverInEvalMode, inputs=(3, 8), train=True).mode == "train"
