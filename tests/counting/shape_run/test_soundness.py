"""What a shape run must not get wrong: every rule compares it with the real run and with a value derived by hand."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import MeasurementError, force_real_run, measure
from pytest_modelbudget.measurement import Measurement


class Model(nn.Module):
    """A linear map of 4 features to 4, and a forward given as a function of the module and its inputs."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.function = forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def both(forward: Callable[..., Any], *args: Any, run: str = "shape") -> Measurement:
    """Measure a model by shapes (``run`` says where that must end) and for real, and check that they agree."""
    torch.manual_seed(0)
    model = Model(forward)
    found = measure(model, args)
    with force_real_run():
        real = measure(model, args)
    assert found.run == run
    assert found.macs == real.macs
    return found


def rows(count: int) -> torch.Tensor:
    return torch.ones(count, 4)


# -- operators that change metadata in place ---------------------------------------------------------------------------


def test_t_changes_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)  # (3, 4): 3 * 4 * 4
        y.t_()
        return y @ rows(3)  # (4, 3) @ (3, 4): 4 * 3 * 4

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 4 * 3 * 4


def test_transpose_squeeze_and_unsqueeze_change_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        y.unsqueeze_(0).transpose_(1, 2).squeeze_(0)
        assert y.shape == (4, 5)
        return y @ rows(5)

    assert both(forward, rows(5)).macs == 5 * 4 * 4 + 4 * 5 * 4


def test_resize_changes_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x).detach()
        y.resize_(7, 4)
        return self.linear(y)

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 7 * 4 * 4


def test_out_resizes_its_target() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = torch.empty(0)
        with torch.no_grad():
            torch.mm(self.linear(x), torch.ones(4, 6), out=y)
        assert y.shape == (3, 6)
        return y @ torch.ones(6, 2)

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4 + 3 * 4 * 6 + 3 * 6 * 2


def test_out_fills_a_shape_tensor_of_the_right_size() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = torch.empty(3, 6)
            torch.mm(self.linear(x), torch.ones(4, 6), out=y)
            return y @ torch.ones(6, 2)

    assert both(forward, rows(3)).macs == 3 * 4 * 4 + 3 * 4 * 6 + 3 * 6 * 2


def test_assigning_data_changes_the_shape_of_a_shape_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x).detach()
        y.data = self.linear(rows(9)).detach()
        return self.linear(y)

    assert both(forward, rows(3)).macs == (3 + 9 + 9) * 4 * 4


# -- what is known, and what no longer is -------------------------------------------------------------------------------


def test_values_of_masks_and_positions_are_known() -> None:
    def forward(self: Model, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if mask.all().item():
            return x
        return self.linear(x[mask])

    mask = torch.tensor([True, False, True])
    assert both(forward, rows(3), mask).macs == 2 * 4 * 4


def test_a_weight_written_into_a_real_tensor_makes_it_unknown() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(5, 4)
        cache[:3] = self.linear(x)
        return self.linear(x) if cache.sum() > 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_a_write_through_a_view_makes_the_base_and_its_other_views_unknown() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(5, 4)
        top, bottom = cache[:3], cache[2:]
        top.copy_(self.linear(x).detach())
        return self.linear(x) if bottom.sum() > 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_a_full_fill_makes_a_tensor_known_again() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(3, 4)
        cache.copy_(self.linear(x).detach())
        cache.fill_(1)
        return self.linear(x) if cache.sum() == 12 else x

    assert both(forward, rows(3)).macs == 2 * 3 * 4 * 4


def test_a_partial_fill_does_not() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache = torch.zeros(3, 4)
        cache.copy_(self.linear(x).detach())
        cache[:2].fill_(1)
        return self.linear(x) if cache.sum() > 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_random_numbers_are_not_known() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if torch.rand(()) < 2 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_a_write_of_the_forward_into_an_integer_buffer_is_undone() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        return self.linear(x) if self.steps == 1 else x

    model = Model(forward)
    model.register_buffer("steps", torch.zeros((), dtype=torch.long))
    for _ in range(2):
        assert measure(model, rows(3)).macs == 3 * 4 * 4
    assert int(model.steps) == 0


def test_set_from_a_storage_gives_a_real_tensor() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = torch.empty(0).set_(torch.ones(3, 4).untyped_storage(), 0, (3, 4))
        return self.linear(x) if y.sum() == 12 else x

    assert both(forward, rows(3)).macs == 3 * 4 * 4


def test_the_value_of_a_weight_that_an_instance_has_is_known() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if self.linear.bias[0].item() < 1e9 else x

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


# -- the memo -----------------------------------------------------------------------------------------------------------


def test_equal_numbers_of_different_types_are_told_apart() -> None:
    def forward(self: Model, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        floats = torch.empty(3, dtype=torch.long).random_(1, 2)  # unknown integers
        assert (floats + 1).dtype == torch.long
        assert (floats + 1.0).dtype == torch.float
        assert (floats + True).dtype == torch.long
        return self.linear(x)

    both(forward, rows(3), torch.arange(3))


def test_the_default_dtype_belongs_to_the_key() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        seen = []
        for dtype in (torch.float32, torch.float64):
            torch.set_default_dtype(dtype)
            seen.append((torch.randint(9, (3,)) / 2).dtype)
        assert seen == [torch.float32, torch.float64]
        return x

    both(forward, rows(3))
    assert torch.get_default_dtype() is torch.float32


def test_lengths_that_decide_shapes_are_not_remembered() -> None:
    def forward(self: Model, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return self.linear(packed.data)

    x = torch.ones(2, 5, 4)
    assert both(forward, x, torch.tensor([5, 3])).macs == 8 * 4 * 4
    assert both(forward, x, torch.tensor([4, 1])).macs == 5 * 4 * 4


def test_masks_that_decide_shapes_are_not_remembered() -> None:
    def forward(self: Model, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.linear(x[mask])

    for mask in ([True, True, False], [False, False, True]):
        assert both(forward, rows(3), torch.tensor(mask)).macs == sum(mask) * 4 * 4


def test_new_scalars_at_every_step_do_not_grow_the_memo_for_ever() -> None:
    from pytest_modelbudget.counting.shape_run import memo

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for step in range(300):
            x = x.clamp(min=step * 1e-3) * (step * 1e-3)
        return self.linear(x)

    most = memo.MOST_OUTCOMES
    memo.MOST_OUTCOMES = 64
    try:
        measure(Model(forward), rows(3))
        kept = memo.number_of_outcomes()
    finally:
        memo.MOST_OUTCOMES = most
    assert kept <= 2 * 64


# -- stop signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asks",
    [
        lambda y: y.sum().item(),
        lambda y: y.tolist(),
        lambda y: y.numpy(),
        lambda y: str(y),
        lambda y: f"{y.sum():.3f}",
        lambda y: y.nonzero(),
        lambda y: bool(y.sum() > 0),
        lambda y: torch.equal(y, y),
        lambda y: y[y > 0],
        lambda y: y.data_ptr(),
        lambda y: torch.unique(y),
        lambda y: [*range(int(y.sum().abs().clamp(max=1)))],
    ],
)
@pytest.mark.parametrize("swallowed", [Exception, BaseException])
def test_a_swallowed_request_for_values_still_leads_to_a_real_run(asks: Any, swallowed: type[BaseException]) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            y = self.linear(x)
        try:
            asks(y)
        except swallowed:
            return x
        return self.linear(x)

    assert both(forward, rows(3), run="real").macs == 2 * 3 * 4 * 4


def test_an_exception_of_an_operator_voids_the_shape_run_even_if_caught() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        try:
            return x @ torch.ones(5, 5)
        except RuntimeError:
            return self.linear(x)

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


def test_products_of_differing_dtypes_are_refused_as_in_a_real_run() -> None:
    model = Model(lambda self, x: x.half() @ self.linear.weight)
    with pytest.raises(RuntimeError, match="dtype"):
        measure(model, rows(3))


# -- factories ----------------------------------------------------------------------------------------------------------


def simple(self: Model, x: torch.Tensor) -> torch.Tensor:
    return self.linear(x)


def test_a_factory_may_load_a_checkpoint(tmp_path: Any) -> None:
    path = tmp_path / "weights.pt"
    torch.save(Model(simple).state_dict(), path)

    def factory() -> nn.Module:
        model = Model(simple)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 3 * 4 * 4, 20)


def test_a_factory_may_load_into_a_buffer(tmp_path: Any) -> None:
    buffer = io.BytesIO()
    torch.save(torch.arange(4.0), buffer)

    def factory() -> nn.Module:
        buffer.seek(0)
        model = Model(lambda self, x: self.linear(x) if self.table.sum() == 6 else x)
        model.register_buffer("table", torch.load(buffer, weights_only=True))
        return model

    found = measure(factory, input_size=(3, 4))
    assert found.macs == 3 * 4 * 4


@pytest.mark.parametrize("cache", [functools.cache, functools.lru_cache(maxsize=2)])
def test_a_cached_factory_does_not_hand_out_weightless_models_later(cache: Any) -> None:
    @cache
    def factory() -> nn.Module:
        return Model(simple)

    assert measure(factory, input_size=(3, 4)).macs == 3 * 4 * 4
    assert factory()(rows(3)).sum().item() is not None


def test_a_cache_inside_a_factory_is_an_error_that_names_it() -> None:
    @functools.cache
    def shared() -> nn.Module:
        return Model(simple)

    def factory() -> nn.Module:
        return shared()

    with pytest.raises(MeasurementError, match=r"cache of .*shared"):
        measure(factory, input_size=(3, 4))


def test_a_mask_cached_outside_the_model_is_an_error_that_names_its_holder() -> None:
    cache: dict[str, Any] = {}

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        cache["y"] = self.linear(x)
        return cache["y"]

    with pytest.raises(MeasurementError, match=r"outlived.*held by the function .*forward"):
        measure(Model(forward), rows(3))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_factory_may_script() -> None:
    found = measure(lambda: torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU())), input_size=(3, 4))
    assert (found.macs, found.params, found.run) == (3 * 4 * 4, 20, "real")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_factory_may_trace() -> None:
    found = measure(lambda: torch.jit.trace(nn.Linear(4, 4), torch.ones(3, 4)), input_size=(3, 4))
    assert (found.macs, found.params, found.run) == (3 * 4 * 4, 20, "real")


@pytest.mark.filterwarnings("ignore")
def test_a_factory_may_quantize() -> None:
    def factory() -> nn.Module:
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear})

    assert measure(factory, input_size=(3, 4)).macs == 3 * 4 * 4


def test_a_factory_may_parametrize() -> None:
    class Doubled(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight @ weight

    def factory() -> nn.Module:
        layer = nn.Linear(4, 4)
        nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
        return layer

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 4 * 4 * 4 + 3 * 4 * 4, 20)


@pytest.mark.parametrize(
    "convert", [lambda m: m.half().float(), lambda m: m.to(torch.float64).float(), lambda m: m.cpu()]
)
def test_a_factory_may_convert(convert: Any) -> None:
    found = measure(lambda: convert(nn.Sequential(nn.Linear(4, 4))), input_size=(3, 4))
    assert (found.run, found.macs, found.weight_bytes) == ("shape", 3 * 4 * 4, 80)


def test_a_factory_on_the_meta_device() -> None:
    def factory() -> nn.Module:
        with torch.device("meta"):
            return nn.Linear(4, 4)

    found = measure(factory, input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 3 * 4 * 4, 20)


def test_an_instance_on_the_meta_device() -> None:
    found = measure(nn.Linear(4, 4, device="meta"), input_size=(3, 4))
    assert (found.run, found.macs, found.params) == ("shape", 3 * 4 * 4, 20)


def test_a_class_is_a_factory() -> None:
    class Net(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 4)

    found = measure(Net, input_size=(3, 4))
    assert (found.name, found.named, found.macs) == ("Net", False, 3 * 4 * 4)


# -- threads ------------------------------------------------------------------------------------------------------------


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


def test_a_profiled_forward_is_a_shape_run() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.profiler.record_function("linear"):
            return self.linear(x)

    assert both(forward, rows(3)).macs == 3 * 4 * 4


def test_a_known_mask_selects_a_known_number() -> None:
    def forward(self: Model, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.masked_select(x, mask).view(-1, 4))

    mask = torch.tensor([[True], [False], [True]])
    assert both(forward, rows(3), mask).macs == 2 * 4 * 4
