"""The interface of ``measure``: what it takes, what it names, and what it says when it cannot."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import traceback
from collections import namedtuple
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.counting import MeasurementError, force_real_run


def small() -> nn.Module:
    return nn.Linear(4, 2)


def test_names() -> None:
    def shown(model: Any, **options: Any) -> tuple[str, bool]:
        found = measure(model, input_size=(1, 4), **options)
        return found.name, found.named

    assert shown(small) == ("small", True)
    assert shown(small()) == ("Linear", False)
    assert shown(lambda: small()) == ("Linear", False)
    assert shown(functools.partial(small)) == ("Linear", False)
    assert shown(functools.cache(small)) == ("small", True)
    assert shown(small(), name="mine") == ("mine", True)
    assert shown(nn.DataParallel(small())) == ("Linear", False)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_is_named_by_what_it_compiles() -> None:
    assert measure(torch.compile(small(), backend="eager"), input_size=(1, 4)).name == "Linear"


Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    scale: float


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return [self.linear(tensor) for tensor in self.tensors((args, kwargs))]

    def tensors(self, value: Any) -> list[torch.Tensor]:
        if isinstance(value, torch.Tensor):
            return [value] if value.is_floating_point() else []
        if isinstance(value, Batch):
            return self.tensors(value.x)
        if isinstance(value, dict):
            value = list(value.values())
        return [t for item in value for t in self.tensors(item)] if isinstance(value, (list, tuple)) else []


@pytest.mark.parametrize(
    ("args", "kwargs", "names"),
    [
        (torch.ones(3, 4), None, ["args[0]"]),
        ((torch.ones(3, 4),), None, ["args[0]"]),
        ((torch.ones(3, 4), "text", None, 2), None, ["args[0]"]),
        ([torch.ones(3, 4), "text", None, 2], None, ["args[0][0]"]),
        (({"a": torch.ones(3, 4)},), None, ["args[0]['a']"]),
        ((), {"x": torch.ones(3, 4), "flag": True}, ["kwargs['x']"]),
        (((torch.ones(1, 4), [torch.ones(2, 4)]),), {}, ["args[0][0]", "args[0][1][0]"]),
        (Pair(torch.ones(1, 4), torch.ones(2, 4)), None, ["args[0].left", "args[0].right"]),
    ],
)
def test_inputs_of_any_nesting(args: Any, kwargs: Any, names: list[str]) -> None:
    for _ in range(2):
        found = measure(Takes(), args, kwargs)
        assert (found.macs, found.run) == (3 * 4 * 2, "shape")
        assert [spec.name for spec in found.inputs] == names
    with force_real_run():
        assert measure(Takes(), args, kwargs).macs == 3 * 4 * 2


def test_a_dataclass_as_input() -> None:
    assert measure(Takes(), (Batch(torch.ones(3, 4), 1.0),)).macs == 3 * 4 * 2


@pytest.mark.parametrize("size", [(3, 4), [3, 4], [(3, 4)], [[1, 4], (2, 4)], torch.Size([3, 4])])
def test_input_sizes(size: Any) -> None:
    assert measure(Takes(), input_size=size).macs == 3 * 4 * 2


def test_input_sizes_are_of_the_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        found = measure(small, input_size=(3, 4))
    finally:
        torch.set_default_dtype(torch.float32)
    assert (found.inputs[0].dtype, found.weight_bytes, found.run) == ("float64", 10 * 8, "shape")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "takes an nn.Module, or a function without arguments that returns one, not int"),
        ({"model": None}, "not None"),
        ({"model": lambda: 3, "input_size": (1,)}, "returned int, not an nn.Module"),
        ({"model": small(), "args": {"x": 1}}, "kwargs="),
        ({"model": small(), "kwargs": [1]}, "kwargs must be a dict"),
        ({"model": small(), "args": torch.ones(1, 4), "input_size": (1, 4)}, "not both"),
        ({"model": small(), "input_size": 4}, "input_size must be a shape"),
        ({"model": small(), "input_size": (1, 4.0)}, "input_size must be a shape"),
        ({"model": small(), "input_size": (-1, 4)}, "input_size must be a shape"),
        ({"model": small(), "name": ""}, "name must be a non-empty string"),
    ],
)
def test_what_it_does_not_take(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        measure(**arguments)
    assert message in str(caught.value)


def test_flops_per_mac() -> None:
    assert measure(small(), input_size=(3, 4), flops_per_mac=1).flops == 24
    assert measure(small(), input_size=(3, 4)).flops == 48
    with pytest.raises(ValueError, match="flops_per_mac must be 2"):
        measure(small(), input_size=(3, 4), flops_per_mac=3)


def test_a_factory_that_raises_raises_its_own_exception() -> None:
    def factory() -> nn.Module:
        raise KeyError("no such width")

    with pytest.raises(KeyError, match="no such width") as caught:
        measure(factory, input_size=(1, 4))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "factory"
    assert caught.value.__cause__ is None


def test_a_forward_that_raises_ends_at_the_users_line() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        measure(Wrong(), torch.ones(3, 5))
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.line) == (__file__, "return self.linear(x)")


class Asks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if x.sum().item() > 0 else x


def test_values_that_nobody_has_are_an_error_with_operator_line_and_remedies() -> None:
    with torch.device("meta"):
        model = Asks()
    with pytest.raises(MeasurementError) as caught:
        measure(model, input_size=(3, 4))
    message = str(caught.value)
    assert "aten::_local_scalar_dense" in message
    assert f"{__file__}:" in message
    assert "x.sum().item() > 0" in message
    assert "pass an instance with its weights" in message
    assert "pass inputs with values" in message


def test_meta_inputs_have_no_values() -> None:
    with pytest.raises(MeasurementError, match="inputs have no values"):
        measure(Asks(), torch.ones(3, 4, device="meta"))
    assert measure(Asks(), torch.ones(3, 4)).run == "real"


def test_a_factory_too_large_for_a_real_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_modelbudget.counting.real_run import measuring

    monkeypatch.setattr(measuring, "free_memory", lambda: 39)
    with pytest.raises(MeasurementError, match="40 bytes and only 39 are free"):
        measure(Asks, input_size=(3, 4))
    monkeypatch.setattr(measuring, "free_memory", lambda: 40)
    assert measure(Asks, input_size=(3, 4)).run == "real"


def test_lazy_modules_need_inputs() -> None:
    model = nn.LazyLinear(2)
    with pytest.raises(MeasurementError, match="need inputs"):
        measure(model)
    assert measure(model, input_size=(3, 4)).params == 10
    assert isinstance(model.weight, nn.parameter.UninitializedParameter)


def test_a_lazy_module_that_is_not_reached_is_an_error() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.LazyLinear(2), nn.LazyLinear(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x)

    with pytest.raises(MeasurementError, match="did not reach"):
        measure(Skips(), torch.ones(3, 4))


def test_interrupts_are_not_taken_for_a_reason_to_run_for_real() -> None:
    class Interrupted(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(Interrupted(4, 2), torch.ones(3, 4))


def test_a_forward_that_asks_for_gradients_needs_none_from_the_caller() -> None:
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x.requires_grad_()
            return torch.autograd.grad(self.linear(x).sum(), x)[0]

    assert measure(Force(), torch.ones(3, 4)).macs == 3 * 4 + 3 * 4  # y = xW, and dX = dY W


def test_a_measurement_is_plain_and_frozen() -> None:
    found = measure(small, input_size=(3, 4))
    assert isinstance(found, Measurement)
    with pytest.raises(AttributeError, match="immutable"):
        found.macs = 1  # type: ignore[misc]
    plain = found.as_dict()
    assert (plain["macs"], plain["complete"], plain["inputs"][0]["shape"]) == (24, True, (3, 4))
    assert all(type(plain[metric]) is int for metric in ("params", "macs", "flops", "weight_bytes"))
    assert found.headline() == "small: params 10, trainable_params 10, macs 24, flops 48, weight_bytes 40 B"


def test_tensors_held_as_plain_attributes_and_in_tuples_are_as_before() -> None:
    class Anchored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.anchor = torch.ones(4, requires_grad=True)
            self.pair = (torch.ones(4, requires_grad=True), 1)
            for leaf in (self.anchor, self.pair[0]):
                leaf.grad = torch.full((4,), 2.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.anchor.grad = None
            self.anchor.requires_grad_(False)
            self.pair[0].requires_grad_(False)
            return x * self.anchor * self.pair[0]

    model = Anchored()
    gradients = [leaf.grad for leaf in (model.anchor, model.pair[0])]
    for backward in (False, True):
        measure(model, torch.ones(4, requires_grad=True), backward=backward)
        for leaf, gradient in zip((model.anchor, model.pair[0]), gradients, strict=True):
            assert leaf.requires_grad
            assert leaf.grad is gradient


# -- names and numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\x00",
        "\x1b[31mred",
        "lone \ud800",
        "\x7f",
        "tab\t",
        " ",
        "a ",
        "\u200b",
        "\u202ea",
        "a\u2028b",
        "\u200d",
        "\xa0",
        "a\ufffe",
        "\ufdd0",
    ],
)
def test_names_that_no_reader_can_tell_from_others_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no control characters") as caught:
        measure(small(), input_size=(1, 4), name=name)
    str(caught.value).encode()  # it can be shown


@pytest.mark.parametrize("name", [" ", "\u200b", "\u202e", "\u2028", "a b", "", 3])
def test_a_factory_whose_name_is_none_is_called_as_its_class(name: object) -> None:
    def factory() -> nn.Module:
        return nn.Linear(4, 4)

    with contextlib.suppress(TypeError):
        factory.__name__ = name  # type: ignore[assignment]
    found = measure(factory, input_size=(1, 4))
    assert found.name == ("factory" if name == 3 else "Linear")


def test_names_are_exact_strings() -> None:
    class Shouting(str):
        def __str__(self) -> str:
            return self.upper()

    for name in (numpy.str_("mine"), Shouting("mine")):
        found = measure(small(), input_size=(1, 4), name=name)
        assert (found.name, type(found.name)) == ("mine", str)
    assert measure(small(), input_size=(1, 4), name="modèle 模型 👩‍🔬").name == "modèle 模型 👩‍🔬"


def test_names_of_modules_classes_and_inputs_are_escaped() -> None:
    odd = type("Odd\nClass", (nn.Sequential,), {})
    shared = small()
    model = odd()
    model._modules["line\nbreak"] = shared
    model._modules["lone \ud800"] = nn.ReLU()
    model._modules["again\x00"] = shared
    x = {"key\n\udc00": torch.ones(3, 4)}
    model.forward = lambda batch: shared(next(iter(batch.values())))  # type: ignore[method-assign]
    found = measure(model, (x,))
    names = [module.name for module in found.modules.walk()]
    assert names == ["", "line\\nbreak", "lone \\ud800"]
    assert found.modules.children[0].aliases == ("again\\x00",)
    assert (found.name, found.modules.cls) == ("Odd\\nClass", "Odd\\nClass")
    assert repr(found.as_dict()).isprintable()
    assert found.macs == 3 * 4 * 2


def test_numbers_of_numpy_become_exact_integers() -> None:
    size = numpy.array([3, 4])
    shapes = [tuple(size), [(numpy.int32(3), 4)], [numpy.int64(3), numpy.uint8(4)]]
    for shape in shapes:
        found = measure(small(), input_size=shape, flops_per_mac=numpy.int64(2))  # type: ignore[arg-type]
        assert found.inputs[0].shape == (3, 4)
        assert {type(value) for value in (*found.inputs[0].shape, found.flops, found.flops_per_mac)} == {int}
    with pytest.raises(TypeError, match="input_size must be a shape"):
        measure(small(), input_size=(True, 4))
