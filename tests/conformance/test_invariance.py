"""A count is a property of the model and its inputs: the ways to run the model do not change it.

Cases whose forward branches on the mode, or on values, say so in ``varies`` with the reason. That an instance and a
factory, a shape run and a real run agree is tested in test_counts.py: all of them equal the hand-derived truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_modelbudget.counting import force_real_run, measure, observe

from .case import Case
from .cases import CASES
from .checks import assert_right
from .tensors import mapped

RUNS = {"shape": nullcontext, "real": force_real_run}
MODES = {"no_grad": torch.no_grad, "enable_grad": torch.enable_grad, "inference_mode": torch.inference_mode}
ATTENTIVE = [case for case in CASES if case.name.startswith(("multihead-", "transformer-"))]


def skip_if_it_varies(case: Case, by: str) -> None:
    if by in case.varies:
        pytest.skip(f"varies: {case.varies[by]}")


@contextmanager
def fast_path(enabled: bool) -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize("run", RUNS)
def test_evaluation_and_training_mode(case: Case, run: str) -> None:
    skip_if_it_varies(case, "mode")
    model, (args, kwargs) = case.model(), case.inputs()
    backward = case.training_macs is not None
    for switch in (nn.Module.eval, nn.Module.train):
        switch(model)
        with RUNS[run]():
            assert_right(measure(model, args, kwargs, backward=backward), case, backward=backward)


@pytest.mark.parametrize("run", RUNS)
def test_grad_modes_around_the_measurement(case: Case, run: str) -> None:
    model, (args, kwargs) = case.model(), case.inputs()
    for mode in MODES.values():
        if mode is torch.inference_mode and "grad" in case.varies:
            continue
        with RUNS[run](), mode():
            assert_right(measure(model, args, kwargs), case, backward=False)


@pytest.mark.parametrize("mode", MODES)
def test_grad_modes_under_observation(case: Case, mode: str) -> None:
    """Here the model itself runs in the mode, with the kernels that it would take."""
    if mode == "inference_mode":
        skip_if_it_varies(case, "grad")
    skip_if_it_varies(case, "fast_path")
    model, (args, kwargs) = case.model(), case.inputs()
    with observe() as seen, MODES[mode]():
        model(*args, **kwargs)
    assert seen.faults == []
    assert [(found.params, found.macs) for found in seen.measurements] == (
        [(case.params, case.macs)] if counted(case) else []
    )


def counted(case: Case) -> bool:
    """Whether observation speaks of the case at all: it leaves out modules without params and MACs."""
    return bool(case.params or case.macs)


@pytest.mark.parametrize("run", RUNS)
def test_first_and_second_measurement(case: Case, run: str) -> None:
    model, (args, kwargs) = case.model(), case.inputs()
    backward = case.training_macs is not None
    with RUNS[run]():
        first, second = (measure(model, args, kwargs, backward=backward) for _ in range(2))
    assert first.as_dict() == second.as_dict()
    assert_right(second, case, backward=backward)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("attentive", ATTENTIVE, ids=lambda case: case.name)
def test_with_and_without_the_fast_path(attentive: Case, run: str) -> None:
    case = attentive
    model, (args, kwargs) = case.model().eval(), case.inputs()
    for enabled in (True, False):
        with RUNS[run](), fast_path(enabled):
            assert_right(measure(model, args, kwargs), case, backward=False)


class PassingFunctions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class PassingOperators(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("cpu")
    try:
        yield
    finally:
        torch.set_default_device(None)


ACTIVE = {
    "default device": default_device,
    "device context": lambda: torch.device("cpu"),
    "function mode": PassingFunctions,
    "dispatch mode": PassingOperators,
}


@pytest.mark.parametrize("run", RUNS)
def test_inside_what_the_user_has_active(case: Case, run: str) -> None:
    """All at once: what one of them does to a run, no other takes back."""
    model, (args, kwargs) = case.model(), case.inputs()
    backward = case.training_macs is not None
    with ExitStack() as active:
        for make in ACTIVE.values():
            active.enter_context(make())
        with RUNS[run]():
            found = measure(model, args, kwargs, backward=backward)
    assert_right(found, case, backward=backward)
    assert run == "real" or found.run == measure(model, args, kwargs, backward=backward).run


def test_on_meta(case: Case) -> None:
    skip_if_it_varies(case, "meta")
    args, kwargs = mapped(to_meta, case.inputs())
    with torch.device("meta"):
        model = case.model()
    assert_right(measure(model, args, kwargs), case, backward=False)


def to_meta(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("meta").requires_grad_(tensor.requires_grad)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("on_cuda", CASES if torch.cuda.is_available() else [], ids=lambda case: case.name)
def test_on_cuda(on_cuda: Case, run: str) -> None:
    case = on_cuda
    skip_if_it_varies(case, "cuda")
    args, kwargs = mapped(lambda tensor: tensor.detach().cuda().requires_grad_(tensor.requires_grad), case.inputs())
    with RUNS[run]():
        found = measure(case.model().cuda(), args, kwargs, backward=case.training_macs is not None)
    assert_right(found, case, backward=case.training_macs is not None)
