"""What a forward does to objects around the model is undone; what belongs to others is left alone."""

from __future__ import annotations

import array
import logging
import random
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy
import pytest
import torch
from torch import nn

from pytest_modelbudget import MeasurementError
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


class Renaming(nn.Module):
    old = "the same object"

    def __init__(self) -> None:
        super().__init__()
        self.linear: Any = nn.Linear(4, 4)
        self.old = self.linear.weight.old = "its own"

    def holders(self) -> list[Any]:
        return [self, self.linear.weight, Renaming]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for holder in self.holders():
            holder.new = holder.old
            del holder.old
        out: torch.Tensor = self.linear(x)
        return out


def test_a_value_under_another_name_gets_its_own_back() -> None:
    model = Renaming()
    measured_in_every_way(model)
    assert [("old" in vars(holder), "new" in vars(holder)) for holder in model.holders()] == [(True, False)] * 3


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


VIEWS: list[memoryview] = []


def test_what_cannot_be_put_back_is_an_error() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.counts["calls"] += 1
        if len(self.bytes) == 3:
            self.bytes.append(4)
            VIEWS.append(memoryview(self.bytes))  # which lets nobody give it another length
        return self.linear(x)

    for forced in (False, True):
        model = Model(forward)
        model.bytes, model.counts = bytearray(3), {"calls": 0}
        try:
            with (
                force_real_run() if forced else torch.no_grad(),
                pytest.raises(MeasurementError, match="put back") as info,
            ):
                measure(model, rows(3))
            assert isinstance(info.value.__cause__, BufferError)
        finally:
            VIEWS.pop().release()
        assert model.counts == {"calls": 0}
