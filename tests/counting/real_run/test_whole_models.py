"""The model is the whole: a method that calls its parts is one call of the outermost module that holds them.

Encoder is Linear(4, 8): 40 params, 32 MACs a row. Decoder is Linear(8, 4): 36 params, 32 MACs a row.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pytest_modelbudget.counting import observe
from pytest_modelbudget.measurement import Measurement


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(batch)).sum()

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)

    def in_helpers(self, x: torch.Tensor) -> torch.Tensor:
        return self._decode(self._encode(x))

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.encode(x)

    def _decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder(z)

    def again(self, x: torch.Tensor, times: int) -> torch.Tensor:
        x = self.decoder(self.encoder(x))
        return x if times == 1 else self.again(x, times - 1)

    def with_itself(self, x: torch.Tensor) -> torch.Tensor:
        self(x[:1])
        return self.encoder(self(x))

    def generate(self, x: torch.Tensor, steps: int) -> torch.Tensor:
        for _ in range(steps):
            x = self(x)
        return x

    def stream(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        z = self.encoder(x)
        yield z
        yield self.decoder(z)

    def own_weights(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(self.encoder(x), self.decoder.weight)

    @torch.no_grad()
    def decorated(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))

    def recovers(self, x: torch.Tensor) -> torch.Tensor:
        with suppress(RuntimeError):
            self.encoder(x[:, :1])
        return self.decoder(self.encoder(x))

    def grows(self, x: torch.Tensor) -> torch.Tensor:
        z = self.encoder(x)
        self.head = nn.Linear(8, 2)
        return self.head(z)


def x(rows: int = 1) -> torch.Tensor:
    return torch.ones(rows, 4)


def seen(run: Callable[[], object]) -> list[Measurement]:
    with observe() as observed:
        run()
    assert observed.faults == []
    return observed.measurements


def costs(found: list[Measurement]) -> list[tuple[str, int, int | None]]:
    return [(one.name, one.params, one.macs) for one in found]


WHOLE = [("Task", 76, 64)]  # 40 + 36 params, 32 + 32 MACs


@pytest.mark.parametrize(
    "run",
    [
        lambda task: task(x()),
        lambda task: task.training_step(x()),
        lambda task: task.forward(x()),
        lambda task: task._call_impl(x()),
        lambda task: task.in_helpers(x()),
        lambda task: task.decorated(x()),
        lambda task: task.recovers(x()),
        lambda task: functools.partial(Task.training_step, task)(x()),
        lambda task: [*task.stream(x())],
        lambda task: task.own_weights(x()),  # 32 in the encoder, and 8 x 4 outside of any module call
    ],
)
def test_parts_of_a_method_are_one_call_of_the_whole(run: Callable[[Task], object]) -> None:
    assert costs(seen(lambda: run(Task()))) == WHOLE


def test_one_part_alone_is_judged_as_the_whole() -> None:
    assert costs(seen(lambda: Task().encode(x()))) == [("Task", 76, 32)]


def test_a_recursive_method_is_one_call() -> None:
    assert costs(seen(lambda: Task().again(x(), 3))) == [("Task", 76, 3 * 64)]


def test_parts_are_added_to_the_costliest_call_of_the_model_itself() -> None:
    (found,) = seen(lambda: Task().with_itself(x(2)))
    assert (found.params, found.macs) == (76, 2 * 64 + 2 * 32)  # self(x) with two rows, then the encoder once more
    assert [(one.name, one.calls, one.total.macs) for one in found.modules.walk()] == [
        ("", 1, 192),
        ("encoder", 2, 128),
        ("decoder", 1, 64),
    ]


def test_a_loop_that_calls_the_model_is_its_costliest_call() -> None:
    assert costs(seen(lambda: Task().generate(x(), 5))) == WHOLE


def test_each_call_of_a_method_is_a_call_of_its_own() -> None:
    def three_steps() -> None:
        task = Task()
        for rows in (1, 3, 2):
            task.training_step(x(rows))

    assert costs(seen(three_steps)) == [("Task", 76, 3 * 64)]


def test_two_methods_that_run_by_turns_are_two_calls() -> None:
    def by_turns() -> None:
        one, other = Task(), Task()
        for _ in zip(one.stream(x(1)), other.stream(x(2)), strict=True):
            pass

    assert costs(seen(by_turns)) == [("Task", 76, 64), ("Task", 76, 128)]


def test_a_debugger_or_coverage_changes_no_count() -> None:
    def trace(frame: Any, event: str, argument: Any) -> Any:
        return trace  # which becomes the trace function of every frame, each time that it is entered

    for run in (lambda: Task().training_step(x()), lambda: [*Task().stream(x())]):
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            found = seen(run)
        finally:
            sys.settrace(before)
        assert costs(found) == WHOLE


def test_a_generator_that_has_not_ended_counts_so_far() -> None:
    streams: list[Iterator[torch.Tensor]] = []

    def begin() -> None:
        streams.append(Task().stream(x()))
        next(streams[0])

    assert costs(seen(begin)) == [("Task", 76, 32)]


def test_the_outermost_holder_is_the_model() -> None:
    class System(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.task, self.extra = Task(), nn.Linear(3, 3)

        def step(self, batch: torch.Tensor) -> torch.Tensor:
            return self.task.training_step(batch)

    assert costs(seen(lambda: System().step(x()))) == [("System", 76 + 12, 64)]


def test_a_module_that_holds_nothing_of_what_it_calls_is_not_the_model() -> None:
    class Trainer(nn.Module):
        def fit(self, task: Task) -> None:
            task.training_step(x())

    assert costs(seen(lambda: Trainer().fit(Task()))) == WHOLE


def test_a_class_with_a_call_of_its_own() -> None:
    class Own(Task):
        def __call__(self, batch: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return self.decoder(self.encoder(batch))

    class Delegating(Task):
        def __call__(self, batch: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return super().__call__(batch) + self.encoder(batch).sum()

    class Functional(Task):
        def __call__(self, batch: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return functional.linear(batch, self.encoder.weight)

    assert costs(seen(lambda: Own()(x()))) == [("Own", 76, 64)]
    assert costs(seen(lambda: Delegating()(x()))) == [("Delegating", 76, 96)]
    assert costs(seen(lambda: Functional()(x()))) == [("Functional", 76, 32)]


def test_a_method_whose_first_parameter_is_not_called_self() -> None:
    class Odd(Task):
        def step(this, batch: torch.Tensor) -> torch.Tensor:
            return this.decoder(this.encoder(batch))

    assert costs(seen(lambda: Odd().step(x()))) == [("Odd", 76, 64)]


def test_a_method_given_to_one_instance() -> None:
    def step(self: Task, batch: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(batch))

    def patched() -> None:
        task: Any = Task()
        task.step = step.__get__(task)
        task.step(x())

    assert costs(seen(patched)) == WHOLE


def test_a_module_that_the_method_makes_belongs_to_the_model() -> None:
    (found,) = seen(lambda: Task().grows(x()))
    assert (found.params, found.macs) == (76 + 18, 32 + 8 * 2)
    assert [one.name for one in found.modules.walk()] == ["", "encoder", "decoder", "head"]


def test_what_a_test_calls_by_itself_is_its_own_model() -> None:
    def parts() -> None:
        task = Task()
        task.decoder(task.encoder(x()))

    assert costs(seen(parts)) == [("Linear", 40, 32), ("Linear", 36, 32)]


def test_the_inputs_are_the_arguments_of_the_method() -> None:
    (found,) = seen(lambda: Task().training_step(x(3)))
    assert [str(spec) for spec in found.inputs] == ["batch 3x4 float32"]


def test_a_call_that_raised_is_no_measurement() -> None:
    class Breaks(Task):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            self.encoder(batch)
            raise ZeroDivisionError

        def step(self, batch: torch.Tensor) -> torch.Tensor:
            return self.decoder(self.encoder(batch)[:, :1])

    def calls() -> None:
        with pytest.raises(ZeroDivisionError):
            Breaks()(x())
        with pytest.raises(RuntimeError):
            Breaks().step(x())

    assert costs(seen(calls)) == []


def test_a_forward_that_runs_again_in_the_backward_is_no_second_model() -> None:
    class Checkpointed(Task):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return self.decoder(checkpoint(self.encoder, batch, use_reentrant=False))

        def reentrant(self, batch: torch.Tensor) -> torch.Tensor:
            return self.decoder(checkpoint(self.encoder, batch, use_reentrant=True))

    batch = x().requires_grad_()
    assert costs(seen(lambda: Checkpointed()(batch).sum().backward())) == [("Checkpointed", 76, 64)]
    assert costs(seen(lambda: Checkpointed().reentrant(batch).sum().backward())) == [("Checkpointed", 76, 64)]


def test_operators_outside_of_modules_are_kept_apart() -> None:
    with observe() as observed:
        torch.ones(2, 3) @ torch.ones(3, 5)
        nn.Linear(4, 4)(x()).sum().backward()
    assert [(one.name, one.calls, one.macs) for one in observed.outside] == [("aten::mm", 1, 2 * 3 * 5)]
    assert costs(observed.measurements) == [("Linear", 20, 16)]


def test_the_costliest_call_by_each_metric() -> None:
    def calls() -> None:
        model = nn.Sequential(nn.Linear(4, 4))
        model(x(5))
        model.append(nn.Identity())
        model[0].weight.requires_grad_(False)
        model(x(1))
        model.append(nn.Linear(1, 100))
        model.requires_grad_(True)
        with pytest.raises(RuntimeError):
            model(x(1))
        model[2].forward = lambda y: y  # type: ignore[method-assign]
        model(x(1))

    assert costs(seen(calls)) == [("Sequential", 20, 80), ("Sequential", 220, 16)]


def test_an_operator_without_a_formula_hides_no_costlier_call() -> None:
    library = torch.library.Library("whole_models", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda tensor: tensor + tensor, "CompositeExplicitAutograd")

    class Odd(Task):
        def forward(self, batch: torch.Tensor, odd: bool = False) -> torch.Tensor:
            out = super().forward(batch)
            return torch.ops.whole_models.twice(out) if odd else out

    def calls() -> None:
        model = Odd()
        model(x(1), odd=True)
        model(x(9))

    costliest, unknown = seen(calls)
    assert (costliest.macs, [one.name for one in costliest.unknown]) == (9 * 64, [])
    assert (unknown.macs, [one.name for one in unknown.unknown]) == (64, ["whole_models::twice"])
