"""The ways of counting a model: from its factory and an input to its MACs. Each does all that its users have to do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.speed.models import Factory

Way = Callable[[Factory, torch.Tensor], object]


def ours(factory: Factory, x: torch.Tensor) -> object:
    from pytest_modelbudget import measure

    return measure(factory, x).macs


def flop_counter_mode(factory: Factory, x: torch.Tensor) -> object:
    from torch.utils.flop_counter import FlopCounterMode

    model = factory().eval()
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2


def flop_counter_mode_on_meta(factory: Factory, x: torch.Tensor) -> object:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = factory().eval()
    with FlopCounterMode(display=False) as counter:
        model(x.to("meta"))
    return counter.get_total_flops() // 2


def fvcore(factory: Factory, x: torch.Tensor) -> object:
    from fvcore.nn import FlopCountAnalysis

    return FlopCountAnalysis(factory().eval(), (x,)).unsupported_ops_warnings(False).total()


def ptflops(factory: Factory, x: torch.Tensor) -> object:
    from ptflops import get_model_complexity_info

    shape = tuple(x.shape[1:])
    return get_model_complexity_info(
        factory().eval(), shape, print_per_layer_stat=False, as_strings=False, input_constructor=lambda _: x
    )


def thop(factory: Factory, x: torch.Tensor) -> object:
    from thop import profile

    return profile(factory().eval(), (x,), verbose=False)[0]


def torchinfo(factory: Factory, x: torch.Tensor) -> object:
    from torchinfo import summary

    return summary(factory().eval(), input_data=[x], verbose=0).total_mult_adds


def calflops(factory: Factory, x: torch.Tensor) -> object:
    from calflops import calculate_flops

    return calculate_flops(factory().eval(), args=[x], print_results=False, output_as_string=False)[1]


def torchprofile(factory: Factory, x: torch.Tensor) -> object:
    from torchprofile import profile_macs

    return profile_macs(factory().eval(), (x,))


def plain_module(model: nn.Module, x: torch.Tensor) -> object:
    with torch.no_grad():
        return model(x)


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        ours,
        flop_counter_mode,
        flop_counter_mode_on_meta,
        fvcore,
        ptflops,
        thop,
        torchinfo,
        calflops,
        torchprofile,
    )
}
