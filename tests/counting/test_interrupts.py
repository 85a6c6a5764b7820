"""What ends a measurement at once, and what does not: time limits, interrupts, the end of the program."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.counting import force_real_run
from pytest_modelbudget.counting.errors import ShapeRunStop, is_interrupt

from .shape_run.model import Model, rows


def raised(model: Any, *args: Any, **options: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        measure(model, *args, **options)
    return caught.value


def test_a_forward_with_a_plain_mistake_runs_once_per_kind_of_run() -> None:
    calls = []

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x @ self.linear(x)  # (3, 4) @ (3, 4)

    assert "shapes cannot be multiplied" in str(raised(Model(forward), rows(3)))
    assert len(calls) == 2  # by shapes, and for real


class Limit:
    """A handler that is an object."""

    def __call__(self, *_: Any) -> None:
        raise TimeoutError("time limit")

    def end(self, *_: Any) -> None:
        raise TimeoutError("time limit")


def fail(*_: Any) -> None:
    pytest.fail("time limit")


def raise_error(error: Exception, *_: Any) -> None:
    raise error


HANDLERS = [fail, Limit(), Limit().end, partial(raise_error, TimeoutError("time limit"))]


@contextmanager
def time_limit(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("backward", [False, True])
def test_a_time_limit_ends_a_measurement_at_once(backward: bool, handler: Any) -> None:
    calls = []

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        while True:
            x = self.linear(x)
            self.seen = x
            # No timer: its signal may come while coverage holds a lock, which would then be held for ever.
            signal.raise_signal(signal.SIGTERM)

    model = Model(forward)
    with pytest.raises((pytest.fail.Exception, TimeoutError), match="time limit"), time_limit(handler):
        measure(model, rows(3), backward=backward)
    assert len(calls) == 1
    assert not hasattr(model, "seen")
    assert measure(Model(lambda self, x: self.linear(x)), rows(3)).run == "shape"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, pytest.exit.Exception, pytest.fail.Exception])
def test_what_is_no_mistake_passes_through_at_once(kind: type[BaseException]) -> None:
    calls = []

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        self.count = len(calls)
        raise kind("enough")

    def factory() -> nn.Module:
        calls.append(1)
        raise kind("enough")

    model = Model(forward)
    assert type(raised(model, rows(3))) is kind
    assert not hasattr(model, "count")
    assert type(raised(factory, rows(3))) is kind
    with force_real_run():
        assert type(raised(model, rows(3))) is kind
    assert len(calls) == 3


def test_a_time_limit_of_the_models_own_is_its_own() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with time_limit(Limit()), suppress(TimeoutError):
            signal.raise_signal(signal.SIGTERM)
        raise TimeoutError("of the model")

    error = raised(Model(forward), rows(3))
    assert str(error) == "of the model"
    assert any("while measuring Model" in note for note in error.__notes__)


class Group(BaseException):
    """As the exception groups of Python 3.11."""

    def __init__(self, *exceptions: BaseException) -> None:
        super().__init__("group")
        self.exceptions = exceptions


def test_a_group_is_an_interrupt_if_a_part_is() -> None:
    stop, own = ShapeRunStop("item"), ValueError("own")
    assert not any(map(is_interrupt, (Group(stop, stop), Group(stop, Group(own)))))
    assert all(map(is_interrupt, (Group(stop, KeyboardInterrupt()), Group(Group(SystemExit(1)), own), Group())))


def test_values_asked_for_in_a_group_of_tasks() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        errors = []
        for _ in range(2):
            try:
                self.linear(x).sum().item()
            except BaseException as error:
                errors.append(error)
        if errors:
            raise Group(*errors)
        return x

    assert measure(Model(forward), rows(3)).macs == 2 * 3 * 4 * 4


@pytest.mark.parametrize("leave", [sys.exit, SystemExit])
def test_a_model_that_ends_the_program_where_it_gets_no_values(leave: Any) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        try:
            x.sum().item()
        except BaseException as error:
            raise leave(2) from error
        return self.linear(x)

    assert measure(Model(forward), rows(3)).macs == 3 * 4 * 4


def test_a_run_that_ends_in_an_event_loop_leaves_no_handler_behind() -> None:
    before = signal.getsignal(signal.SIGINT)

    def forward(self: Model, x: torch.Tensor) -> Any:
        async def values() -> torch.Tensor:
            return self.linear(x)

        return asyncio.run(values())

    model = Model(forward)
    assert measure(model, rows(3)).macs == 3 * 4 * 4
    assert signal.getsignal(signal.SIGINT) is before
    assert model(rows(3)).shape == (3, 4)
