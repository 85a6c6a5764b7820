"""A count is a property of the model and its inputs: the ways to run the model do not change it.

Cases whose forward branches on the mode, or on values, say so in ``varies`` with the reason. That an instance and a
factory, a shape run and a real run agree is tested in test_counts.py: all of them equal the hand-derived truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_modelbudget.counting import measure, observe

from .case import Case
from .cases import CASES
from .checks import RUNS, assert_right, way
from .tensors import mapped

pytestmark = [pytest.mark.usefixtures("not_covered"), pytest.mark.slow]
MODES = {"no_grad": torch.no_grad, "enable_grad": torch.enable_grad, "inference_mode": torch.inference_mode}


@contextmanager
def mode_of(model: nn.Module, training: bool) -> Iterator[None]:
    modules = [module for module in model.modules() if hasattr(module, "training")]
    before = [module.training for module in modules]
    model.train(training)
    yield
    for module, was in zip(modules, before, strict=True):
        module.training = was


@contextmanager
def fast_path(model: nn.Module, enabled: bool) -> Iterator[None]:
    """Evaluate, which alone may take it, with or without it."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        with mode_of(model, training=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


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
        vars(torch._GLOBAL_DEVICE_CONTEXT).pop("device_context", None)  # torch 2.6 would ask None for its device


@contextmanager
def everything() -> Iterator[None]:
    """All at once: what one of them does to a run, no other takes back."""
    with default_device(), torch.device("cpu"), PassingFunctions(), PassingOperators():
        yield


def test_modes_and_devices(case: Case, runs: tuple[str, ...]) -> None:
    model, (args, kwargs) = case.model(), case.inputs()
    backward = case.training_macs is not None
    for run in runs:
        for name, active, with_backward in surroundings(case, model, backward):
            with way(f"{name}, {run}"):
                with active(), RUNS[run]():
                    found = measure(model, args, kwargs, backward=with_backward)
                assert_right(found, case, backward=with_backward)
                if active is everything and run == "shape":
                    assert found.run == measure(model, args, kwargs, backward=backward).run
    if "meta" not in case.varies:
        args, kwargs = mapped(to_meta, case.inputs())
        with way("on meta"), torch.device("meta"):
            model = case.model()
        with way("on meta"):
            assert_right(measure(model, args, kwargs), case, backward=False)
    if "fast_path" not in case.varies:
        with way("observed"):
            check_modes_under_observation(case)


def surroundings(case: Case, model: nn.Module, backward: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield what may surround a measurement: its name, a context, and whether to measure the backward in it."""
    if "mode" not in case.varies:
        yield "evaluation", lambda: mode_of(model, training=False), backward
        yield "training mode", lambda: mode_of(model, training=True), backward
    for name, mode in MODES.items():
        if name != "inference_mode" or "grad" not in case.varies:
            yield name, mode, False
    yield "inside what the user has active", everything, backward
    if case.name.startswith(("multihead-", "transformer-")):
        for enabled in (True, False):
            yield f"evaluation, fast path {enabled}", lambda on=enabled: fast_path(model, on), False


def check_modes_under_observation(case: Case) -> None:
    """Here the model itself runs in the mode, with the kernels that it would take."""
    model, (args, kwargs) = case.model(), case.inputs()
    for name, mode in MODES.items():
        if name != "inference_mode" or "grad" not in case.varies:
            with way(name):
                with observe() as seen, mode():
                    model(*args, **kwargs)
                assert seen.faults == []
                counted = bool(case.params or case.macs)  # it leaves out modules without params and MACs
                found = [(one.params, one.macs) for one in seen.measurements]
                assert found == ([(case.params, case.macs)] if counted else [])


def to_meta(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("meta").requires_grad_(tensor.requires_grad)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("on_cuda", CASES if torch.cuda.is_available() else [], ids=lambda case: case.name)
def test_on_cuda(on_cuda: Case, run: str) -> None:
    case = on_cuda
    if "cuda" in case.varies:
        pytest.skip(f"varies: {case.varies['cuda']}")
    args, kwargs = mapped(lambda tensor: tensor.detach().cuda().requires_grad_(tensor.requires_grad), case.inputs())
    with RUNS[run]():
        found = measure(case.model().cuda(), args, kwargs, backward=case.training_macs is not None)
    assert_right(found, case, backward=case.training_macs is not None)
