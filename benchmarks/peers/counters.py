"""One function per counter: from a model and its inputs to the MACs that the counter reports.

Counters that report FLOPs of two per MAC are halved; all others report MACs, whatever they call them. Where a counter
cannot be given the inputs of a case (keywords, several arguments, values that are no tensors), the model is wrapped in
one that has them, so that no counter fails for its interface alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tests.conformance.case import Case
from tests.conformance.tensors import mapped

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One case, ready to be counted."""

    case: Case
    model: nn.Module
    args: Args
    kwargs: Kwargs

    def run(self) -> Any:
        return self.model(*self.args, **self.kwargs)

    def tensors_alone(self, limit: int = 99, params: int = 0) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
        """Return a model of at least so many params, and at most so many tensors, that amount to the same call."""
        if (
            self.case.params >= params
            and self.args
            and not self.kwargs
            and len(self.args) <= limit
            and all(map(torch.is_tensor, self.args))
        ):
            return self.model, self.args
        return Bound(self.model, self.args, self.kwargs), (torch.zeros(1),)


class Bound(nn.Module):
    """A model with its inputs: takes one tensor, which it does not use."""

    def __init__(self, model: nn.Module, args: Args, kwargs: Kwargs) -> None:
        super().__init__()
        self.model = model
        self.inputs = (args, kwargs)
        self.place = nn.Parameter(torch.zeros(()))  # calflops takes the device from the first parameter

    def forward(self, _: torch.Tensor) -> Any:
        args, kwargs = self.inputs
        return self.model(*args, **kwargs)


def ours(call: Call) -> int | None:
    from pytest_modelbudget.counting import measure

    found = measure(call.model, call.args, call.kwargs)
    if not found.complete:
        raise RuntimeError(f"lower bound: {[operator.name for operator in found.unknown]}")
    return found.macs


def ours_for_real(call: Call) -> int | None:
    from pytest_modelbudget.counting import force_real_run

    with force_real_run():
        return ours(call)


def flop_counter_mode(call: Call) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call.run()
    return counter.get_total_flops() // 2


def flop_counter_mode_on_meta(call: Call) -> int:
    with torch.random.fork_rng(), torch.device("meta"):
        model = call.case.model()
    inputs = mapped(lambda tensor: tensor.to("meta"), (call.args, call.kwargs))
    return flop_counter_mode(Call(call.case, model, *inputs))


def fvcore(call: Call) -> int:
    from fvcore.nn import FlopCountAnalysis

    model, tensors = call.tensors_alone()
    analysis = FlopCountAnalysis(model, tensors)
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def ptflops(call: Call, backend: str = "pytorch") -> int:
    from ptflops import get_model_complexity_info

    model, tensors = call.tensors_alone(limit=1)
    macs, _ = get_model_complexity_info(
        model,
        tuple(tensors[0].shape) or (1,),
        print_per_layer_stat=False,
        as_strings=False,
        input_constructor=lambda _: tensors[0],
        backend=backend,
    )
    if macs is None:
        raise RuntimeError("ptflops printed an error and returned None")
    per_sample = backend == "pytorch" and tensors[0].dim()
    return round(macs * len(tensors[0])) if per_sample else macs


def ptflops_aten(call: Call) -> int:
    return ptflops(call, backend="aten")


def thop(call: Call) -> int:
    from thop import profile

    model, tensors = call.tensors_alone()
    return profile(model, tensors, verbose=False)[0]


def torchinfo(call: Call) -> int:
    from torchinfo import summary

    model, tensors = call.tensors_alone()
    mode = "train" if model.training else "eval"
    return summary(model, input_data=list(tensors), verbose=0, mode=mode).total_mult_adds


def calflops(call: Call) -> int:
    from calflops import calculate_flops

    model, tensors = call.tensors_alone(params=1)
    _, macs, _ = calculate_flops(model, args=list(tensors), print_results=False, output_as_string=False)
    return macs


def torchprofile(call: Call) -> int:
    from torchprofile import profile_macs

    model, tensors = call.tensors_alone()
    return profile_macs(model, tensors)


COUNTERS: dict[str, Callable[[Call], int | None]] = {
    "pytest-modelbudget": ours,
    "pytest-modelbudget, real runs forced": ours_for_real,
    "FlopCounterMode on meta": flop_counter_mode_on_meta,
    "FlopCounterMode on CPU": flop_counter_mode,
    "fvcore": fvcore,
    "torchprofile": torchprofile,
    "calflops": calflops,
    "ptflops, aten": ptflops_aten,
    "thop": thop,
    "ptflops, pytorch": ptflops,
    "torchinfo": torchinfo,
}
