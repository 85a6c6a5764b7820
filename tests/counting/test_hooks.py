"""Hooks of modules and of gradients: what they collect, and those that a forward registers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

from .shape_run.model import Model, rows
from .test_restored_objects import ONE, measured_in_every_way


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4))


class Collector:
    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.by_name: dict[str, Any] = {"before": 1}
        self.count = 0

    def hook(self, module: nn.Module, args: Any, out: Any) -> None:
        self.seen.append(out)
        self.by_name[str(len(self.seen))] = out
        self.count += 1

    def __call__(self, module: nn.Module, args: Any, out: Any) -> None:
        self.hook(module, args, out)


def test_hooks_that_collect_activations() -> None:
    feats: list[Any] = []
    named: dict[str, Any] = {}
    last: Any = None
    count = 0

    def hook(module: nn.Module, args: Any, out: torch.Tensor) -> None:
        nonlocal last, count
        feats.append(out)
        named["out"] = out
        last = out
        count += 1

    def with_name(name: str, module: nn.Module, args: Any, out: torch.Tensor, *, store: dict[str, Any]) -> None:
        store[name] = out

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        return lambda *args: function(*args)

    model, collector, other = linear(), Collector(), Collector()
    model[0].register_forward_hook(hook)
    model[0].register_forward_hook(decorated(hook))
    model[0].register_forward_hook(collector.hook)
    model[0].register_forward_hook(other)
    model[0].register_forward_pre_hook(lambda module, args: feats.extend(args))
    model[0].register_forward_hook(functools.partial(with_name, "x", store=named))
    measured_in_every_way(model)
    assert (feats, named, last, count) == ([], {}, None, 0)
    for one in (collector, other):
        assert (one.seen, one.by_name, one.count) == ([], {"before": 1}, 0)


def test_a_bound_method_of_a_list_as_a_hook() -> None:
    feats: list[Any] = []
    model = linear()
    model[0].register_forward_hook(lambda *args: feats.append(args) or None)
    model[0].__dict__["_forward_hooks"][10_000] = lambda *args: None
    model[0].register_forward_pre_hook(lambda *args: None)
    append: Any = functools.partial(feats.append)
    model[0].register_forward_hook(lambda module, args, out: append(out))
    measured_in_every_way(model)
    assert feats == []


def test_hooks_of_all_modules() -> None:
    feats: list[Any] = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, out: feats.append(out))
    try:
        measured_in_every_way(linear())
    finally:
        handle.remove()
    assert feats == []


def test_hooks_of_gradients() -> None:
    gradients: list[Any] = []
    model = linear()
    model[0].weight.register_hook(lambda gradient: gradients.append(gradient))
    model[0].weight.register_post_accumulate_grad_hook(lambda weight: gradients.append(weight.grad))
    measured_in_every_way(model)
    assert gradients == []


def test_hooks_that_forward_registers() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        weight = self.linear.weight
        weight.register_post_accumulate_grad_hook(lambda _: None)
        if torch.is_grad_enabled():
            weight.register_hook(lambda gradient: gradient * 0)
        nn.modules.module.register_module_forward_hook(lambda *_: None)
        nn.modules.module.register_module_forward_pre_hook(lambda *_: None)
        return self.linear(x)

    def hooks(model: Model) -> list[Any]:
        own = [model.linear.weight._backward_hooks, model.linear.weight._post_accumulate_grad_hooks]
        return [*own, len(nn.modules.module._global_forward_hooks), len(nn.modules.module._global_forward_pre_hooks)]

    model = Model(forward)
    measured_in_every_way(model)
    assert hooks(model) == [None, None, 0, 0]
    handle = model.linear.weight.register_hook(lambda gradient: gradient)
    before = [own.copy() if isinstance(own, dict) else own for own in hooks(model)]
    measured_in_every_way(model)
    assert hooks(model) == before
    handle.remove()


class Distilled(nn.Module):
    """A model with a teacher that is kept out of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.teacher = [nn.Linear(4, 4)]

    def forward(self, x: torch.Tensor) -> Any:
        return self.teacher[0](self.linear(x))


def test_gradients_of_weights_that_are_none_of_the_models() -> None:
    model = Distilled()
    weight = model.teacher[0].weight
    for own in (None, torch.ones(4, 4)):
        weight.grad = own
        for run in (nullcontext, force_real_run):
            with run():
                # forward 2; the teacher's dX and dW, and the student's dW: its input needs no gradient
                assert measure(model, rows(3), backward=True).training_macs == 5 * ONE
            assert weight.grad is own
    model(rows(3)).sum().backward()
