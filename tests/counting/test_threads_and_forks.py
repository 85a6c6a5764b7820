"""Measuring in other threads and processes while a model is being measured."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import MeasurementError
from pytest_modelbudget.counting import measure
from warm import CAN_FORK


class Waiting(nn.Module):
    """A model whose forward waits for a thread that measures."""

    def __init__(self, starts: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.starts = starts
        self.errors: list[str] = []

    def work(self) -> None:
        try:
            measure(nn.Linear(4, 4), torch.zeros(1, 4))
        except MeasurementError as error:
            raise RuntimeError(str(error)) from None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.starts(self.work)
        return self.linear(x)


def in_a_thread(work: Any) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except RuntimeError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def in_a_pool(work: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


@pytest.mark.parametrize("starts", [in_a_thread, in_a_pool])
def test_a_forward_that_waits_for_a_thread_that_measures_is_an_error(starts: Any) -> None:
    with pytest.raises(RuntimeError, match="in a thread of a model that is being measured"):
        measure(Waiting(starts), torch.zeros(1, 8))


def test_a_thread_of_ones_own_waits_until_it_may_measure() -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(measure(nn.Linear(8, 8), torch.zeros(1, 8)).macs))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [64] * 4


class Forking(nn.Module):
    """A model whose forward lets another thread fork, which does not hold the lock of the measurement."""

    def __init__(self, ready: threading.Event, done: threading.Event) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.ready, self.done = ready, done

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.ready.set()
        self.done.wait()
        return self.linear(x)


def measure_in_the_child(results: Any) -> None:
    results.put(measure(nn.Linear(4, 4), torch.zeros(1, 4)).macs)


@pytest.mark.skipif(not CAN_FORK, reason="the system has no fork, or none that libraries survive")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # of Python 3.12: the process has threads, and this is the point
def test_a_child_that_is_forked_meanwhile_measures() -> None:
    ready, done = threading.Event(), threading.Event()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    found = []

    def fork() -> None:
        ready.wait()
        child = context.Process(target=measure_in_the_child, args=(results,))
        child.start()
        child.join(60)
        found.append(child.exitcode)
        done.set()

    forking = threading.Thread(target=fork)
    forking.start()
    assert measure(Forking(ready, done), torch.zeros(1, 8)).macs == 64
    forking.join()
    assert found == [0]
    assert results.get() == 16
