"""Work that no mode sees is counted, or makes a measurement a lower bound: it is never 0 in silence."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure, observe


class InAThread(nn.Module):
    """Linear(4, 8) in another thread, and Linear(8, 2) in its own: 4 x 8 + 8 x 2 MACs a row."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with ThreadPoolExecutor(1) as pool:
            return self.last(pool.submit(self.first, x).result())


class Ignored(InAThread):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: found.append(self.first(x)))
        thread.start()
        thread.join()
        return self.last(found[0] if found else torch.zeros(len(x), 8))


def test_a_call_in_another_thread_is_counted() -> None:
    for found in (measure(InAThread(), torch.ones(3, 4)), measure(InAThread, torch.ones(3, 4))):
        assert (found.macs, found.run, found.complete) == (3 * 4 * 8 + 3 * 8 * 2, "real", True)


def test_a_call_in_a_thread_whose_failure_nobody_sees_is_counted() -> None:
    for forced in (nullcontext(), force_real_run()):
        with forced:
            assert measure(Ignored(), torch.ones(3, 4)).macs == 3 * 4 * 8 + 3 * 8 * 2


def test_a_call_in_a_thread_that_was_there_before_is_unknown() -> None:
    todo: queue.Queue[torch.Tensor | None] = queue.Queue()
    done: queue.Queue[torch.Tensor] = queue.Queue()

    class Served(InAThread):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            todo.put(x)
            return self.last(done.get(timeout=10))

    model = Served()

    def serve() -> None:
        while (x := todo.get()) is not None:
            with suppress(BaseException):  # without data it ends, and the forward waits in vain
                done.put(model.first(x))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with force_real_run():
            found = measure(model, torch.ones(3, 4))
    finally:
        todo.put(None)
        thread.join()
    assert (found.macs, found.complete) == (3 * 8 * 2, False)
    assert [(one.name, one.module, one.calls) for one in found.unknown] == [("threading::call", "first", 1)]


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_graph_frozen_for_inference_is_unknown() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 5)).eval()
    frozen = torch.jit.optimize_for_inference(torch.jit.script(layers))
    if "prim::mkldnn_convolution" not in str(frozen.graph):
        pytest.skip("this machine freezes no convolution")
    x = torch.ones(1, 3, 10, 10)
    found = measure(frozen, x)
    assert (found.macs, [one.name for one in found.unknown]) == (256 * 5, ["prim::mkldnn_convolution"])
    with observe() as seen:
        frozen(x)
    assert [one.complete for one in seen.measurements] == [False]


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_scripted_model_is_still_counted_whole() -> None:
    found = measure(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), torch.ones(1, 3, 10, 10))
    assert (found.macs, found.complete) == (4 * 8 * 8 * 3 * 3 * 3, True)
