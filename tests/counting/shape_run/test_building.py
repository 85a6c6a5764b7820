"""What factories may do while a model is built without its weights, and what may not outlive that."""

from __future__ import annotations

import functools
import io
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import MeasurementError, measure

from .model import Model, rows


def simple(self: Model, x: torch.Tensor) -> torch.Tensor:
    return self.linear(x)


def test_a_factory_may_load_a_checkpoint(tmp_path: Any) -> None:
    path = tmp_path / "weights.pt"
    torch.save(Model(simple).state_dict(), path)

    def factory() -> nn.Module:
        model = Model(simple)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 3 * 4 * 4, 20)


def test_a_factory_may_load_into_a_buffer(tmp_path: Any) -> None:
    buffer = io.BytesIO()
    torch.save(torch.arange(4.0), buffer)

    def factory() -> nn.Module:
        buffer.seek(0)
        model = Model(lambda self, x: self.linear(x) if self.table.sum() == 6 else x)
        model.register_buffer("table", torch.load(buffer, weights_only=True))
        return model

    found = measure(factory, input_size=(3, 4))
    assert found.macs == 3 * 4 * 4


@pytest.mark.parametrize("cache", [functools.cache, functools.lru_cache(maxsize=2)])
def test_a_cached_factory_does_not_hand_out_weightless_models_later(cache: Any) -> None:
    @cache
    def factory() -> nn.Module:
        return Model(simple)

    assert measure(factory, input_size=(3, 4)).macs == 3 * 4 * 4
    assert factory()(rows(3)).sum().item() is not None


def test_a_cache_inside_a_factory_is_cleared() -> None:
    @functools.cache
    def shared() -> nn.Module:
        return Model(simple)

    def factory() -> nn.Module:
        return shared()

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs) == ("shape", 3 * 4 * 4)
    assert shared.cache_info().currsize == 0
    assert type(factory().linear.weight) is nn.Parameter


def test_a_cache_that_a_forward_fills_is_cleared_and_others_are_not() -> None:
    @functools.lru_cache(maxsize=8)
    def mask(owner: nn.Module, device: torch.device, length: int) -> dict[str, Any]:
        return {"mask": [torch.rand(length, 4, device=device)]}

    @functools.lru_cache
    def width(owner: nn.Module) -> int:
        return 4

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * mask(self, x.device, len(x))["mask"][0] * width(self)

    model = Model(forward)
    for given, kept in ((model, 1), (lambda: Model(forward), 0)):
        found = measure(given, rows(3))
        assert (found.run, found.macs) == ("shape", 3 * 4 * 4)
        assert mask.cache_info().currsize == 0
        assert width.cache_info().currsize == kept  # it holds the weightless model of the factory
        width.cache_clear()
    assert model(rows(3)).sum().item() is not None


def test_a_mask_cached_outside_the_model_is_an_error_that_names_its_holder() -> None:
    cache: dict[str, Any] = {}

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache["y"] = self.linear(x)
        return cache["y"]

    with pytest.raises(MeasurementError, match=r"outlived.*held by the function .*forward"):
        measure(Model(forward), rows(3))


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_factory_may_script() -> None:
    found = measure(lambda: torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU())), input_size=(3, 4))
    assert (found.macs, found.params, found.run) == (3 * 4 * 4, 20, "real")


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_factory_may_trace() -> None:
    found = measure(lambda: torch.jit.trace(nn.Linear(4, 4), torch.ones(3, 4)), input_size=(3, 4))
    assert (found.macs, found.params, found.run) == (3 * 4 * 4, 20, "real")


@pytest.mark.filterwarnings("ignore")
def test_a_factory_may_quantize() -> None:
    def factory() -> nn.Module:
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear})

    assert measure(factory, input_size=(3, 4)).macs == 3 * 4 * 4


def test_a_factory_may_parametrize() -> None:
    class Doubled(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight @ weight

    def factory() -> nn.Module:
        layer = nn.Linear(4, 4)
        nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
        return layer

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 4 * 4 * 4 + 3 * 4 * 4, 20)


@pytest.mark.parametrize(
    "convert", [lambda m: m.half().float(), lambda m: m.to(torch.float64).float(), lambda m: m.cpu()]
)
def test_a_factory_may_convert(convert: Any) -> None:
    found = measure(lambda: convert(nn.Sequential(nn.Linear(4, 4))), input_size=(3, 4))
    assert (found.run, found.macs, found.weight_bytes) == ("shape", 3 * 4 * 4, 80)


def test_a_factory_on_the_meta_device() -> None:
    def factory() -> nn.Module:
        with torch.device("meta"):
            return nn.Linear(4, 4)

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 3 * 4 * 4, 20)


def test_an_instance_on_the_meta_device() -> None:
    found = measure(nn.Linear(4, 4, device="meta"), input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 3 * 4 * 4, 20)


def test_a_class_is_a_factory() -> None:
    class Net(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 4)

    found = measure(Net, input_size=(3, 4))
    assert (found.name, found.named, found.macs) == ("Net", False, 3 * 4 * 4)
