"""What a forward does to objects around the model is undone; what belongs to others is left alone."""

from __future__ import annotations

import array
import functools
import logging
import random
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy
import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

from .shape_run.model import Model, rows

ONE = 3 * 4 * 4


def measured_in_every_way(model: nn.Module, *, macs: int = ONE) -> None:
    """Measure an instance and a factory that returns it, by shapes and for real, forward and backward."""
    for given in (model, lambda: model):
        for backward in (False, True):
            assert measure(given, rows(3), backward=backward).macs == macs
            with force_real_run():
                assert measure(given, rows(3), backward=backward).macs == macs


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4))


# -- hooks -------------------------------------------------------------------------------------------------------------


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


# -- state of every kind -----------------------------------------------------------------------------------------------


class Slotted:
    __slots__ = ("__private", "kept", "late")

    def __init__(self) -> None:
        self.kept = [1]
        self.__private = 1

    def change(self, x: Any) -> None:
        self.kept.append(x)
        self.late = x
        self.__private = x

    def private(self) -> Any:
        return self.__private


@dataclass(frozen=True, slots=True)
class Frozen:
    items: list[Any]


class Log(list[Any]):
    """A list with attributes of its own."""

    last: Any = None


class Table(dict[str, Any]):
    last: Any = None


class Pair(tuple[Any, ...]):
    last: Any = None


class State:
    def __init__(self) -> None:
        self.last: Any = None
        self.items: list[Any] = []


class Rich(nn.Module):
    __slots__ = ("late_slot", "slot")
    state_of_class = State()
    nested_in_class: tuple[list[Any], ...] = ([1],)
    shared: list[Any] = []
    counter = 0
    by_class: dict[str, Any] = {"a": [1]}

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.python = random.Random(1)
        self.system = random.SystemRandom()
        self.numpy = numpy.random.default_rng(1)
        self.legacy = numpy.random.RandomState(1)
        self.torch = torch.Generator().manual_seed(1)
        self.array = numpy.arange(4)
        self.objects = numpy.array([None, 1], dtype=object)
        self.bytes = bytearray(b"abc")
        self.numbers = array.array("i", [1, 2])
        self.slotted = Slotted()
        self.frozen = Frozen([1])
        self.default: defaultdict[str, list[Any]] = defaultdict(list, {"a": [1]})
        self.queue: deque[Any] = deque([1, 2], maxlen=2)
        self.ordered = OrderedDict(a=1, b=2)
        self.nested = ({"a": [1]}, [2])
        self.slot = [1]
        self.log, self.table, self.pair = Log([1]), Table(a=1), Pair((1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(x)
        self.python.random()
        self.system.random()
        self.numpy.random()
        self.legacy.rand()
        torch.rand(3, generator=self.torch)
        self.array[0] = 7
        self.objects[0] = out
        self.bytes += b"d"
        self.numbers.append(3)
        self.slotted.change(out)
        self.frozen.items.append(out)
        self.default["b"].append(out)
        self.queue.append(out)
        self.ordered.move_to_end("a")
        self.nested[0]["a"].append(out)
        self.linear.weight.tag = out  # type: ignore[attr-defined]
        Rich.shared.append(out)
        type(self).counter += 1
        Rich.late = out  # type: ignore[attr-defined]
        Rich.by_class["a"].append(out)
        Rich.state_of_class.last = out
        Rich.state_of_class.items.append(out)
        Rich.nested_in_class[0].append(out)
        self.slot.append(out)
        self.late_slot = out
        for container in (self.log, self.table, self.pair):
            container.last = out  # type: ignore[attr-defined]
        return out

    def state(self) -> Any:
        generators = (self.python.getstate(), self.numpy.bit_generator.state, self.legacy.get_state()[1].tolist())
        generators += (self.torch.get_state().tolist(),)
        arrays = (self.array.tolist(), self.objects.tolist(), bytes(self.bytes), self.numbers.tolist())
        slots = (self.slotted.kept, hasattr(self.slotted, "late"), self.slotted.private(), self.frozen.items)
        containers = (dict(self.default), list(self.queue), list(self.ordered), self.nested, vars(self.linear.weight))
        classes = (Rich.shared, Rich.counter, hasattr(Rich, "late"), Rich.by_class)
        classes += (vars(Rich.state_of_class), Rich.nested_in_class)
        slots += (self.slot, hasattr(self, "late_slot"))
        containers += (self.log.last, self.table.last, self.pair.last)
        return repr((generators, arrays, slots, containers, classes))


@pytest.mark.parametrize("raises", [False, True])
def test_state_of_every_kind(raises: bool) -> None:
    model = Rich()
    before = model.state()
    if raises:
        model.linear.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyError("late")))
        with pytest.raises(KeyError):
            measure(model, rows(3))
    else:
        measured_in_every_way(model)
    assert model.state() == before


def test_a_model_that_existed_before_its_factory_is_as_it_was() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.cache = x
        self.steps.append(x)
        self.count += 1
        self.linear.seen = x
        return self.linear(x)

    model = Model(forward)
    model.steps, model.count = [], 0
    head = nn.Linear(4, 4)

    def mixed() -> nn.Module:
        return nn.Sequential(model, head, nn.Linear(4, 4))

    before = [set(vars(part)) for part in (model, model.linear, head)]
    for run in (False, True):
        for given, macs in ((lambda: model, ONE), (lambda: nn.Sequential(model), ONE), (mixed, 3 * ONE)):
            if run:
                with force_real_run():
                    assert measure(given, rows(3)).macs == macs
            else:
                found = measure(given, rows(3))
                assert (found.macs, found.run) == (macs, "shape")
            assert (model.steps, model.count) == ([], 0)
            assert [set(vars(part)) for part in (model, model.linear, head)] == before
    assert model(rows(3)).sum().item() is not None


REGISTRY: dict[str, Any] = {"calls": 0}


HELD: list[Any] = [
    REGISTRY,
    (REGISTRY,),
    {"table": REGISTRY},
    [REGISTRY],
    deque([REGISTRY]),
    OrderedDict(table=REGISTRY),
]


@pytest.mark.parametrize("held", HELD, ids=lambda held: type(held).__name__)
def test_what_a_model_from_a_factory_shares_with_others_is_as_it_was(held: Any) -> None:
    class Sharing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.held = nn.Linear(4, 4), held

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            table = self.held
            while "calls" not in table:
                table = next(iter(table.values() if isinstance(table, dict) else table))
            table["calls"] += 1
            return self.linear(x)

    for backward in (False, True):
        assert measure(Sharing, rows(3), backward=backward).macs == ONE
        with force_real_run():
            assert measure(Sharing, rows(3), backward=backward).macs == ONE
    assert REGISTRY == {"calls": 0}


class Remembering(nn.Module):
    """A module without weights that changes whatever it can of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.calls = None, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen, self.extra = x, x
        self.calls += 1
        self.register_buffer("last", x)
        return x.relu()


def test_modules_without_weights_that_a_built_model_shares() -> None:
    class Training(nn.Sequential):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x) if self.train() else x

    own, of_torch = Remembering(), nn.ReLU()
    shared = nn.Sequential(own, of_torch).eval()
    before = set(vars(own))
    for run in (nullcontext(), force_real_run()):
        with run:
            assert measure(lambda: Training(nn.Linear(4, 4), own, of_torch), rows(3)).macs == ONE
            assert measure(lambda: Training(nn.Linear(4, 4), shared), rows(3)).macs == ONE
    assert (own.seen, own.calls, set(vars(own)), dict(own.named_buffers())) == (None, 0, before, {})
    assert [part.training for part in (own, of_torch, shared)] == [False] * 3


class Ticking:
    total = 0
    ticks: ClassVar[list[int]] = []

    def tick(self) -> None:
        type(self).total += 1
        self.ticks.append(1)
        self.ticked = True


@pytest.mark.parametrize(
    "held", [lambda one: one, lambda one: frozenset([one]), lambda one: MappingProxyType({0: one})]
)
def test_what_the_classes_of_helpers_hold(held: Callable[[Ticking], Any]) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        helper = self.held
        while not isinstance(helper, Ticking):
            helper = next(iter(helper.values() if isinstance(helper, MappingProxyType) else helper))
        helper.tick()
        return self.linear(x)

    model, helper = Model(forward), Ticking()
    model.held = held(helper)
    measured_in_every_way(model)
    assert (Ticking.total, Ticking.ticks, vars(helper)) == (0, [], {})


def test_variables_of_the_context() -> None:
    latest: ContextVar[Any] = ContextVar("latest", default=None)

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        latest.set(x)
        return self.linear(latest.get())

    measured_in_every_way(Model(forward))
    assert latest.get() is None


# -- what belongs to others --------------------------------------------------------------------------------------------


class Bystander:
    calls = 0


def test_loggers_modules_classes_and_threads_are_not_rolled_back() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.log.getChild("made_in_forward").setLevel(logging.ERROR)
        logging.getLogger("modelbudget.test.other").addHandler(logging.NullHandler())
        self.bystander.calls += 1
        self.module.made_in_forward = True
        self.lock.acquire()
        self.done.set()
        return self.linear(x)

    model = Model(forward)
    model.log = logging.getLogger("modelbudget.test")
    model.bystander, model.module = Bystander, threading
    model.lock, model.done = threading.Semaphore(100), threading.Event()
    try:
        measure(model, rows(3))
        assert "modelbudget.test.made_in_forward" in logging.Logger.manager.loggerDict
        assert logging.getLogger("modelbudget.test.other").handlers
        assert Bystander.calls == 1
        assert threading.made_in_forward  # type: ignore[attr-defined]
        assert model.done.is_set()
    finally:
        Bystander.calls = 0
        del threading.made_in_forward  # type: ignore[attr-defined]


def test_pools_that_a_model_holds_keep_working() -> None:
    model = Model(lambda self, x: self.linear(x))
    with ThreadPoolExecutor(1) as model.pool:
        measure(model, rows(3))
        assert model.pool.submit(lambda: 3).result() == 3
