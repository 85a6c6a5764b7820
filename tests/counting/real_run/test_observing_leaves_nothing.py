"""Observing keeps nothing alive and changes nothing, beside threads, exports and fake tensors too."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import observe
from pytest_modelbudget.measurement import Measurement

from .test_whole_models import WHOLE, Task, costs, seen, x


def test_no_model_and_no_frame_is_kept_alive() -> None:
    class Marker:
        pass

    class Remembering(Task):
        def step(self, batch: torch.Tensor) -> None:
            marker = Marker()
            markers.append(weakref.ref(marker))
            self.encoder(batch)

    markers: list[weakref.ref[Marker]] = []
    models: list[weakref.ref[nn.Module]] = []
    with observe() as observed:
        for _ in range(3):
            model = Remembering()
            models.append(weakref.ref(model))
            model.step(x())
            model(x())
            del model
            gc.collect()
            assert [one() for one in (*markers, *models)] == [None] * (2 * len(models))
    assert len(observed.measurements) == 3


def test_local_variables_are_the_methods_own() -> None:
    class Nosy(Task):
        def step(self, batch: torch.Tensor) -> list[str]:
            before = set(locals())
            self.encoder(batch)
            return [name for name in locals() if name not in before]

    with observe():
        assert Nosy().step(x()) == ["before"]


def test_two_threads_cannot_observe_at_once() -> None:
    errors: list[BaseException] = []

    def observe_too() -> None:
        try:
            with observe():
                pass
        except RuntimeError as error:
            errors.append(error)

    before = dict(vars(nn.Module))
    with observe() as observed:
        thread = threading.Thread(target=observe_too)
        thread.start()
        thread.join()
        Task()(x())
    assert [str(error).partition(":")[0] for error in errors] == ["another thread is observing"]
    assert costs(observed.measurements) == WHOLE
    assert dict(vars(nn.Module)) == before


def test_measuring_in_another_thread_while_observing_leaves_nothing() -> None:
    from pytest_modelbudget import measure

    entered, leave = threading.Event(), threading.Event()
    found: list[Measurement] = []

    class Slow(Task):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            entered.set()
            leave.wait(10)
            return super().forward(batch)

    before = dict(vars(nn.Module))
    thread = threading.Thread(target=lambda: found.append(measure(Slow(), x())))
    with observe():
        thread.start()
        entered.wait(10)
    leave.set()
    thread.join()
    assert costs(found) == [("Slow", 76, 64)]
    assert dict(vars(nn.Module)) == before


@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")
@pytest.mark.parametrize("strict", [False, True])
def test_exporting_works_as_without_observing(strict: bool) -> None:
    task = Task()

    def export_and_run() -> None:
        program = torch.export.export(task, (x(2),), strict=strict)
        assert torch.equal(program.module()(x(2)), task(x(2)))

    assert ("Task", 76, 2 * 64) in costs(seen(export_and_run))
