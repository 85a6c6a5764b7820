"""Measuring in threads, and beside threads."""

from __future__ import annotations

import threading

from torch import nn

from pytest_modelbudget.counting import measure

from .model import rows


def test_measuring_from_threads_is_serialised_and_right() -> None:
    before = (nn.Module.__call__, nn.init.kaiming_uniform_)
    results: list[int | None] = []

    def work(width: int) -> None:
        for _ in range(5):
            results.append(measure(lambda: nn.Linear(width, width), input_size=(3, width)).macs)

    threads = [threading.Thread(target=work, args=(width,)) for width in (4, 8, 16, 32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, map(str, results))) == sorted([3 * w * w for w in (4, 8, 16, 32)] * 5)
    assert before == (nn.Module.__call__, nn.init.kaiming_uniform_)


def test_a_model_measured_while_another_thread_runs_it_does_not_see_its_calls() -> None:
    model, stop = nn.Linear(4, 4), threading.Event()

    def keep_running() -> None:
        while not stop.is_set():
            model(rows(3))

    thread = threading.Thread(target=keep_running)
    thread.start()
    try:
        found = [measure(model, rows(3)) for _ in range(20)]
    finally:
        stop.set()
        thread.join()
    assert {(m.macs, m.modules.calls) for m in found} == {(3 * 4 * 4, 1)}
