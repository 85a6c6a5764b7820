"""Work that no mode sees by itself is counted, or makes the measurement a lower bound; it is never 0."""

from __future__ import annotations

import _thread
import asyncio
import multiprocessing
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

LAYER = 4 * 8 * 8  # (4, 8) @ (8, 8)


class Threaded(nn.Module):
    def __init__(self, how: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.l = nn.Linear(8, 8)
        self.how = how

    def forward(self, x: torch.Tensor) -> Any:
        return self.how(self, x)


def in_thread(self: Threaded, x: torch.Tensor) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(self.l(x)))
    thread.start()
    thread.join()
    assert "run" not in vars(thread)
    return results[0]


def in_subclass(self: Threaded, x: torch.Tensor) -> Any:
    model = self

    class Worker(threading.Thread):
        def run(self) -> None:
            self.out = model.l(x)

    worker = Worker()
    worker.start()
    worker.join()
    return worker.out


def in_pool(self: Threaded, x: torch.Tensor) -> Any:
    with ThreadPoolExecutor(2) as pool:
        return pool.submit(self.l, x).result()


def mapped(self: Threaded, x: torch.Tensor) -> Any:
    with ThreadPoolExecutor(2) as pool:
        return torch.cat(list(pool.map(self.l, x.split(2))))


def in_older_pool(self: Threaded, x: torch.Tensor) -> Any:
    return OLD_POOL.submit(self.l, x).result()


def in_thread_pool(self: Threaded, x: torch.Tensor) -> Any:
    with ThreadPool(2) as pool:
        return pool.apply(self.l, (x,))


def mapped_in_older_thread_pool(self: Threaded, x: torch.Tensor) -> Any:
    return torch.cat(OLD_THREAD_POOL.map(self.l, x.split(2)))


def function_in_thread(self: Threaded, x: torch.Tensor) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.matmul, x, self.l.weight).result()


def nested(self: Threaded, x: torch.Tensor) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(in_thread, self, x).result()


def through_a_queue(self: Threaded, x: torch.Tensor) -> Any:
    todo: queue.Queue[Any] = queue.Queue()
    done: queue.Queue[Any] = queue.Queue()
    thread = threading.Thread(target=lambda: done.put(self.l(todo.get())))
    thread.start()
    todo.put(x)
    thread.join()
    return done.get()


def in_pool_by_keyword(self: Threaded, x: torch.Tensor) -> Any:
    with ThreadPool(2) as pool:
        return pool.apply_async(func=self.l, args=(x,)).get()


def in_initializer(self: Threaded, x: torch.Tensor) -> Any:
    results: list[Any] = []
    with ThreadPoolExecutor(1, initializer=lambda: results.append(self.l(x))) as pool:
        pool.submit(int).result()
    return results[0]


def in_initializer_of_thread_pool(self: Threaded, x: torch.Tensor) -> Any:
    results: list[Any] = []
    with ThreadPool(1, lambda: results.append(self.l(x))) as pool:
        pool.apply(int)
    return results[0]


def in_callback_of_thread_pool(self: Threaded, x: torch.Tensor) -> Any:
    results: queue.Queue[Any] = queue.Queue()
    with ThreadPool(1) as pool:
        pool.apply_async(int, callback=lambda _: results.put(self.l(x)))
        return results.get(timeout=30)


def in_callback_of_a_future(self: Threaded, x: torch.Tensor) -> Any:
    results: queue.Queue[Any] = queue.Queue()
    may_end = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(may_end.wait).add_done_callback(lambda _: results.put(self.l(x)))
        may_end.set()
        return results.get(timeout=30)


def in_callback_at_once(self: Threaded, x: torch.Tensor) -> Any:
    results: list[Any] = []
    future: Future[Any] = Future()
    future.set_result(None)
    future.add_done_callback(lambda _: results.append(self.l(x)))  # runs here, where it is counted anyway
    return results[0]


def in_bare_thread(self: Threaded, x: torch.Tensor) -> Any:
    results: queue.Queue[Any] = queue.Queue()
    _thread.start_new_thread(lambda: results.put(self.l(x)), ())
    return results.get(timeout=30)


def in_another_event_loop(self: Threaded, x: torch.Tensor) -> Any:
    results: queue.Queue[Any] = queue.Queue()
    LOOP.call_soon_threadsafe(lambda: results.put(self.l(x)))
    return results.get(timeout=30)


def in_event_loop(self: Threaded, x: torch.Tensor) -> Any:
    async def both() -> Any:
        return await asyncio.to_thread(self.l, x)

    return asyncio.run(both())


LOOP = asyncio.new_event_loop()
OLD_POOL = ThreadPoolExecutor(2)
OLD_THREAD_POOL = ThreadPool(2)
WAYS = [
    in_thread,
    in_subclass,
    in_pool,
    mapped,
    in_older_pool,
    in_thread_pool,
    mapped_in_older_thread_pool,
    function_in_thread,
    nested,
    through_a_queue,
    in_pool_by_keyword,
    in_initializer,
    in_initializer_of_thread_pool,
    in_callback_of_thread_pool,
    in_callback_of_a_future,
    in_callback_at_once,
    in_bare_thread,
    in_another_event_loop,
    in_event_loop,
]


@pytest.fixture(scope="module", autouse=True)
def _pools() -> Any:
    OLD_POOL.submit(int).result()
    loop = threading.Thread(target=LOOP.run_forever)
    loop.start()
    yield
    LOOP.call_soon_threadsafe(LOOP.stop)
    loop.join()
    LOOP.close()
    OLD_POOL.shutdown()
    OLD_THREAD_POOL.terminate()
    OLD_THREAD_POOL.join()


@pytest.mark.parametrize("how", WAYS)
def test_threads_inside_a_forward(how: Callable[[Any, torch.Tensor], Any]) -> None:
    before = threading.Thread.start, ThreadPoolExecutor.submit, ThreadPool.imap
    model = Threaded(how)
    for given in (model, lambda: Threaded(how)):
        found = measure(given, torch.ones(4, 8))
        assert (found.macs, found.unknown) == (LAYER, ())
        assert found.run == "real" or how is in_callback_at_once
    with force_real_run():
        assert measure(model, torch.ones(4, 8)).macs == LAYER
    if how is not function_in_thread:
        assert measure(model, torch.ones(4, 8)).modules.children[0].total.macs == LAYER
        assert measure(model, torch.ones(4, 8), backward=True).training_macs == 2 * LAYER  # and dW
    assert before == (threading.Thread.start, ThreadPoolExecutor.submit, ThreadPool.imap)


def in_coroutine_of_another_thread(self: Threaded, x: torch.Tensor) -> Any:
    async def layer() -> Any:
        return self.l(x)

    return asyncio.run_coroutine_threadsafe(layer(), LOOP).result(timeout=30)


def functions_of_coroutines(self: Threaded, x: torch.Tensor) -> Any:
    async def product() -> Any:
        return x @ self.l.weight

    return asyncio.run_coroutine_threadsafe(product(), LOOP).result(timeout=30)


def in_another_process(self: Threaded, x: torch.Tensor) -> Any:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    return self.l(x)


@pytest.mark.parametrize(
    ("how", "name"),
    [
        (in_coroutine_of_another_thread, "asyncio::run_coroutine_threadsafe"),
        (functions_of_coroutines, "asyncio::run_coroutine_threadsafe"),
        (in_another_process, "multiprocessing::start"),
    ],
)
def test_what_nothing_can_follow_is_unknown(how: Callable[[Any, torch.Tensor], Any], name: str) -> None:
    found = measure(Threaded(how), torch.ones(4, 8))
    assert name in {cost.name for cost in found.unknown}
    assert not found.complete


def test_a_module_of_pools_that_the_forward_imports() -> None:
    # In a process of its own, in which nothing has imported multiprocessing.pool before.
    code = """
import sys, torch
from torch import nn
from pytest_modelbudget import measure
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(8, 8)
    def forward(self, x):
        from multiprocessing.dummy import Pool
        with Pool(2) as pool:
            return pool.apply(self.l, (x,))
assert "multiprocessing.pool" not in sys.modules
print(measure(Net(), torch.ones(4, 8)).macs)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == [str(LAYER)], done.stderr


def test_what_runs_after_the_measurement_is_not_counted() -> None:
    futures: list[Future[Any]] = []

    def how(self: Threaded, x: torch.Tensor) -> Any:
        futures.append(Future())
        futures[-1].add_done_callback(lambda _: modes.append(torch.utils._python_dispatch._get_current_dispatch_mode()))
        return self.l(x)

    modes: list[Any] = []
    with force_real_run():
        assert measure(Threaded(how), torch.ones(4, 8)).macs == LAYER
    futures[0].set_result(None)
    assert modes == [None]


def test_a_pool_goes_on_after_the_measurement_that_made_it() -> None:
    pools = []

    def how(self: Threaded, x: torch.Tensor) -> Any:
        pools.append(ThreadPoolExecutor(1))
        return pools[-1].submit(self.l, x).result()

    model = Threaded(how)
    assert measure(model, torch.ones(4, 8)).macs == LAYER
    for pool in pools:
        assert pool.submit(torch.utils._python_dispatch._get_current_dispatch_mode_stack).result() == []
        pool.shutdown()


def test_an_exception_in_a_thread_is_the_models_own() -> None:
    def how(self: Threaded, x: torch.Tensor) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit({}.__getitem__, "missing").result()

    with pytest.raises(KeyError, match="missing"):
        measure(Threaded(how), torch.ones(4, 8))


def lazily(self: Any, x: torch.Tensor) -> Any:
    for row in x:
        yield self.l(row)


async def awaited(self: Any, x: torch.Tensor) -> Any:
    return self.l(x)


async def awaited_lazily(self: Any, x: torch.Tensor) -> Any:
    yield self.l(x)


UNFINISHED: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "generator": lazily,
    "coroutine": awaited,
    "async_generator": awaited_lazily,
    "map": lambda self, x: {"rows": [map(self.l, x)]},
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_what_is_left_to_run_is_a_lower_bound(kind: str) -> None:
    for backward in (False, True):
        for run in (nullcontext(), force_real_run()):
            with run:
                found = measure(Threaded(UNFINISHED[kind]), torch.ones(4, 8), backward=backward)
            assert (found.macs, found.complete) == (0, False)
            assert [cost.name for cost in found.unknown] == [f"python::{kind}"]
