"""One rank of several: its own MACs and shards, and the bytes of its collectives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.distributed import fsdp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from pytest_modelbudget import MeasurementError, measure
from pytest_modelbudget.measurement import CollectiveCost

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.distributed's own


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(x))  # type: ignore[no-any-return]


def in_columns_and_rows() -> nn.Module:
    mesh = init_device_mesh("cpu", (2,))
    return parallelize_module(MLP(), mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})


def fully_sharded() -> nn.Module:
    model = MLP()
    fsdp.fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return model


# Half of up is 8 x 8 and 8 biases, half of down 8 x 8, and its 8 biases are on both ranks. 4 rows.
def test_tensor_parallelism() -> None:
    found = measure(in_columns_and_rows, inputs=(4, 8), ranks=2)
    assert (found.macs, found.params, found.weight_bytes) == (4 * (8 * 8 + 8 * 8), 144, 144 * 4)
    assert (found.ranks, found.comm_bytes, found.mode) == (2, 4 * 8 * 4, "eval")  # the result is summed over both
    assert found.collectives == (CollectiveCost("all_reduce", "down", 1, 4 * 8 * 4),)


# A rank holds half of 8 x 16 + 16 + 16 x 8 + 8 = 280 weights, gathers all for the forward, and computes as one would.
@pytest.mark.skipif(not hasattr(fsdp, "fully_shard"), reason="this torch has no fully_shard")
def test_fully_sharded_data_parallelism() -> None:
    found = measure(fully_sharded, inputs=(4, 8), ranks=2)
    assert (found.macs, found.params, found.weight_bytes) == (4 * (8 * 16 + 16 * 8), 140, 140 * 4)
    assert found.collectives == (CollectiveCost("all_gather", "", 1, 280 * 4),)
    step = measure(fully_sharded, inputs=(4, 8), ranks=2, backward=True)
    assert (step.params, step.comm_bytes) == (140, 280 * 4 + 280 * 4)
    assert [(one.kind, one.nbytes) for one in step.collectives] == [("all_gather", 1120), ("reduce_scatter", 1120)]


# The gradients of 8 x 4 + 4 + 4 + 4 = 44 weights are summed; the means, variances and count are sent before the forward.
def test_distributed_data_parallelism() -> None:
    def wrapped() -> nn.Module:
        return nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)))

    step = measure(wrapped, inputs=(4, 8), ranks=2, backward=True)
    assert [(one.kind, one.nbytes) for one in step.collectives] == [("all_reduce", 44 * 4), ("broadcast", 8 * 4 + 8)]
    assert (step.params, step.macs, step.training_macs) == (44, 4 * 8 * 4, 2 * 4 * 8 * 4)


class Collective(nn.Module):
    """Runs one collective on its input."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def functional(name: str, *args: Any) -> Any:
    def run(x: torch.Tensor) -> Any:
        from torch.distributed import _functional_collectives

        return getattr(_functional_collectives, name)(x, *args, group=list(range(2)))

    return run


def in_place(name: str) -> Any:
    def run(x: torch.Tensor) -> Any:
        parts, whole, half = [torch.empty_like(x) for _ in range(2)], x.new_empty(8, 2), x.new_empty(2, 2)
        calls: dict[str, Any] = {
            "all_reduce": lambda: distributed.all_reduce(x.clone()),
            "all_gather": lambda: distributed.all_gather(parts, x),
            "all_gather_into_tensor": lambda: distributed.all_gather_into_tensor(whole, x),
            "reduce_scatter_tensor": lambda: distributed.reduce_scatter_tensor(half, x),
            "broadcast": lambda: distributed.broadcast(x.clone(), 0),
            "all_to_all_single": lambda: distributed.all_to_all_single(torch.empty_like(x), x),
            "send": lambda: distributed.send(x, 1),
            "recv": lambda: distributed.recv(torch.empty_like(x), 1),
            "barrier": distributed.barrier,
            "asynchronous": lambda: distributed.all_reduce(x.clone(), async_op=True).wait(),
        }
        calls[name]()
        return x

    return run


# The input is 4 x 2 floats: 32 bytes.
@pytest.mark.parametrize(
    ("function", "kind", "nbytes"),
    [
        (functional("all_reduce", "sum"), "all_reduce", 32),
        (functional("all_gather_tensor", 0), "all_gather", 64),
        (functional("all_gather_tensor_autograd", 0), "all_gather", 64),
        (functional("reduce_scatter_tensor", "sum", 0), "reduce_scatter", 32),
        (functional("reduce_scatter_tensor_autograd", "sum", 0), "reduce_scatter", 32),
        (functional("all_to_all_single", None, None), "all_to_all", 32),
        (functional("all_to_all_single_autograd", [2, 2], [2, 2]), "all_to_all", 32),
        (functional("broadcast", 0), "broadcast", 32),
        (in_place("all_reduce"), "all_reduce", 32),
        (in_place("asynchronous"), "all_reduce", 32),
        (in_place("all_gather"), "all_gather", 64),
        (in_place("all_gather_into_tensor"), "all_gather", 64),
        (in_place("reduce_scatter_tensor"), "reduce_scatter", 32),
        (in_place("broadcast"), "broadcast", 32),
        (in_place("all_to_all_single"), "all_to_all", 32),
        (in_place("send"), "send", 32),
        (in_place("recv"), "recv", 32),
        (in_place("barrier"), None, 0),
    ],
)
@pytest.mark.parametrize("around", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_the_larger_of_what_is_given_and_what_is_got(function: Any, kind: str | None, nbytes: int, around: Any) -> None:
    class Around(Collective):
        def forward(self, x: torch.Tensor) -> Any:
            with around():
                return super().forward(x)

    found = measure(lambda: Around(function), inputs=(4, 2), ranks=2)
    assert [(one.kind, one.calls, one.nbytes) for one in found.collectives] == ([(kind, 1, nbytes)] if kind else [])
    assert (found.comm_bytes, found.macs, found.complete) == (nbytes, 0, True)


def test_weights_alone_need_no_run() -> None:
    found = measure(in_columns_and_rows, ranks=2)
    assert (found.params, found.comm_bytes, found.ranks, found.run) == (144, None, 2, None)


def test_nothing_is_left_of_the_group() -> None:
    def broken() -> nn.Module:
        init_device_mesh("cpu", (2,))
        raise ValueError("no model")

    hook = sys.excepthook
    measure(in_columns_and_rows, inputs=(4, 8), ranks=2)
    assert (distributed.is_initialized(), sys.excepthook) == (False, hook)
    with pytest.raises(ValueError, match="no model"):
        measure(broken, inputs=(4, 8), ranks=2)
    assert not distributed.is_initialized()


@pytest.fixture
def group(tmp_path: Any) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_a_process_that_has_a_group() -> None:
    with pytest.raises(MeasurementError, match="this process has one: destroy it before"):
        measure(in_columns_and_rows, inputs=(4, 8), ranks=2)
    assert distributed.is_initialized()


@pytest.mark.parametrize(
    ("model", "ranks", "says"),
    [
        (MLP, 0, "ranks is how many ranks there are"),
        (MLP, "2", "ranks is how many ranks there are"),
        (MLP(), 2, "pass a factory that shards it"),
    ],
)
def test_what_is_no_number_of_ranks(model: Any, ranks: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        measure(model, inputs=(4, 8), ranks=ranks)
