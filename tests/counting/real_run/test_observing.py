"""Observing: every outermost module call is counted as it runs, and nothing is replaced."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure, observe


def rows(count: int) -> torch.Tensor:
    return torch.ones(count, 4)


def test_the_costliest_call_of_each_model_in_the_order_of_the_first_calls() -> None:
    small, large = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))
    with observe() as seen:
        small(rows(2))
        large(rows(1))
        small(rows(5))
        small(rows(3))
    assert [(one.name, one.named, one.macs, one.params, one.run) for one in seen.measurements] == [
        ("Linear", False, 5 * 4 * 4, 20, "real"),
        ("Sequential", False, 4 * 8 + 8 * 4, 76, "real"),
    ]
    assert seen.measurements[0].inputs[0].shape == (5, 4)
    assert seen.faults == []


def test_modules_without_params_or_macs_are_no_models() -> None:
    with observe() as seen:
        nn.ReLU()(rows(2))
        nn.MSELoss()(rows(2), rows(2))
    assert seen.measurements == []


def test_a_model_without_params_that_multiplies_is_one() -> None:
    class Product(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.T

    with observe() as seen:
        Product()(rows(3))
    assert [one.macs for one in seen.measurements] == [3 * 4 * 3]


def test_what_runs_outside_of_modules_is_not_counted() -> None:
    model = nn.Linear(4, 4)
    with observe() as seen:
        y = model(rows(2)) @ torch.ones(4, 100)
        y.sum().backward()
    assert [one.macs for one in seen.measurements] == [2 * 4 * 4]
    assert model.weight.grad is not None


def test_the_convention_of_flops() -> None:
    with observe(flops_per_mac=1) as seen:
        nn.Linear(4, 4)(rows(2))
    assert [(one.macs, one.flops) for one in seen.measurements] == [(32, 32)]


def test_a_module_called_in_another_thread_is_a_fault() -> None:
    model = nn.Linear(4, 4)
    with observe() as seen:
        thread = threading.Thread(target=model, args=(rows(2),), name="worker")
        thread.start()
        thread.join()
    assert seen.measurements == []
    assert seen.faults == ["Linear was called in the thread 'worker', where its operators cannot be counted"]


def test_a_forward_that_raises_leaves_nothing_behind() -> None:
    class Breaks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ZeroDivisionError

    before = vars(nn.Module)["_compiled_call_impl"]
    with pytest.raises(ZeroDivisionError), observe():
        nn.Sequential(nn.Linear(4, 4), Breaks())(rows(2))
    assert vars(nn.Module)["_compiled_call_impl"] is before
    assert torch._C._len_torch_dispatch_stack() == 0
    with observe() as seen:
        nn.Linear(4, 4)(rows(2))
    assert [one.macs for one in seen.measurements] == [32]


def test_a_caught_exception_of_one_model_does_not_spoil_the_next() -> None:
    model = nn.Linear(4, 4)
    with observe() as seen:
        with pytest.raises(RuntimeError):
            model(torch.ones(2, 5))
        model(rows(2))
    assert [one.macs for one in seen.measurements] == [32]


def test_measuring_inside_is_kept_apart() -> None:
    model = nn.Linear(4, 4)
    with observe() as seen:
        assert measure(nn.Linear(4, 8), rows(3)).macs == 3 * 4 * 8
        with force_real_run():
            assert measure(nn.Linear(4, 8), rows(3)).macs == 3 * 4 * 8
        model(rows(2))
    assert [one.macs for one in seen.measurements] == [32]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("fastpath", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_fused_fast_paths_stay_and_count_the_same(fastpath: bool, masked: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).eval()
    x = torch.ones(2, 5, 8)
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2]) if masked else None
    torch.backends.mha.set_fastpath_enabled(fastpath)
    try:
        with torch.no_grad(), observe() as seen:
            model(x, src_key_padding_mask=mask)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    fused = "aten::_transformer_encoder_layer_fwd" in {cost.name for cost in seen.measurements[0].operators}
    assert fused is fastpath
    attention = 3 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 5 * 8 * 8  # projections, scores and values, output projection
    assert seen.measurements[0].macs == 2 * 2 * (attention + 2 * 5 * 8 * 16)  # layers * batch * (attention + FFN)


def test_fast_path_of_attention_alone() -> None:
    model = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.ones(2, 5, 8)
    with torch.no_grad(), observe() as seen:
        model(x, x, x)
    assert {cost.name for cost in seen.measurements[0].operators} == {"aten::_native_multi_head_attention"}
    assert seen.measurements[0].macs == 2 * (3 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 5 * 8 * 8)


def test_inference_mode_delivers_operators_whole() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Conv1d(3, 2, 2))
    with torch.inference_mode(), observe() as seen:
        model(torch.ones(2, 3, 4))
    assert [one.macs for one in seen.measurements] == [2 * 3 * 4 * 4 + 2 * 2 * 3 * 3 * 2]


def test_lazy_modules_are_weighed_after_their_first_call() -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 2))
    with observe() as seen:
        model(rows(3))
    assert [(one.params, one.macs) for one in seen.measurements] == [(4 * 8 + 8 + 8 * 2 + 2, 3 * (4 * 8 + 8 * 2))]


class Compiled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).relu()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("when", ["before", "inside"])
def test_compiled_models_run_eagerly_and_compile_later(when: str) -> None:
    traced: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        traced.append(graph)
        return graph

    def compiled() -> Any:
        return torch.compile(Compiled(), backend=backend, fullgraph=True)

    before = torch.compile
    model = compiled() if when == "before" else None
    with observe() as seen:
        model = compiled() if model is None else model
        model(rows(2))
    assert torch.compile is before
    assert [(one.name, one.macs) for one in seen.measurements] == [("Compiled", 32)]
    assert traced == []
    model(rows(2))
    assert len(traced) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_module_compiled_in_place_is_one_model() -> None:
    model = Compiled()
    model.compile(backend="eager")
    with observe() as seen:
        model(rows(2))
    assert [(one.name, one.macs) for one in seen.measurements] == [("Compiled", 32)]


class Scaled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (super().forward(x) * 0.5 + 1) / 3


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_the_constants_of_a_trace_are_compared_as_without_observing() -> None:
    """8 * 8 MACs; numbers beside tensors do not decide on the dtype, as without observing."""
    half = torch.tensor(1.0, dtype=torch.float16)
    with observe() as observed:
        torch.jit.trace(Scaled(8, 8), torch.ones(1, 8))
        assert torch.mul(0.5, half).dtype is torch.float16
    assert [one.macs for one in observed.measurements] == [64]
