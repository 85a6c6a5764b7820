"""The peak memory of activations: derived by hand, in every way to measure, and computed once more in another way."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conformance.architectures import ARCHITECTURES, Architecture
from conformance.test_architectures import factory
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pytest_modelbudget import measure
from pytest_modelbudget.counting.asking.input_tensors import tensors_of
from pytest_modelbudget.counting.measuring import force_real_run
from pytest_modelbudget.results.folding import fold, unfold


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(torch.relu(self.a(x)))


class BasicBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.down = nn.Sequential()
        if stride > 1 or before != after:
            self.down = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.down(x))


def resnet18() -> nn.Module:
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    blocks = [BasicBlock(*width) for width in (*widths, (512, 512, 1))]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def chain(*, inplace: bool = False) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(inplace=inplace), nn.Linear(32, 4))


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))


def mobilenet() -> nn.Module:
    from zoo import MobileNetV2

    return MobileNetV2()  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the models of the example project, whose module must not stand in the way of others called ``zoo``."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "example_project"))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
        del sys.modules[name]


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    # 4 rows of 32 floats go into the ReLU, and as many come out
    "chain": (chain, (4, 8), 2 * 4 * 32 * 4),
    # the input of 4 x 8 floats and the 4 x 32 of the first layer; in place nothing is added
    "in place": (lambda: chain(inplace=True), (4, 8), 4 * 8 * 4 + 4 * 32 * 4),
    # x, what the layer gets and what it gives, each 4 x 8 floats
    "residual": (Residual, (4, 8), 3 * 4 * 8 * 4),
    # 4 channels of 8 x 8 into the ReLU and out of it
    "convolutions": (convolutions, (1, 3, 8, 8), 2 * 4 * 64 * 4),
    # 64 channels of 112 x 112 into the norm and out of it
    "resnet18": (resnet18, (1, 3, 224, 224), 2 * 64 * 112 * 112 * 4),
    # 96 channels of 112 x 112 into the norm and out of it
    "mobilenetv2": (mobilenet, (1, 3, 224, 224), 2 * 96 * 112 * 112 * 4),
    # 12 steps of 3 rows: 5 floats each go in, 6 come out, and the last states of two times 3 x 6
    "lstm": (lambda: nn.LSTM(5, 6), (12, 3, 5), 4 * (12 * 3 * 5 + 12 * 3 * 6 + 2 * 3 * 6 + 2 * 3 * 6)),
    # queries, keys, values (views of one projection) and the result: 2 heads of 4, 5 tokens, batch 3
    "attention": (lambda: Attention(), (3, 5, 8), 4 * (3 * 5 * 24 + 3 * 5 * 8)),
    "nothing runs": (nn.Identity, (4, 8), 0),
}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.project(x).view(3, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(q, k, v)


def ways(build: Callable[[], nn.Module], size: tuple[int, ...]) -> dict[str, Any]:
    return {
        "a factory": lambda: measure(build, inputs=size, memory=True),
        "again": lambda: measure(build, inputs=size, memory=True),
        "an instance": lambda: measure(build(), torch.zeros(size), memory=True),
        "in train mode": lambda: measure(build, inputs=size, memory=True, train=True),
        "with gradients": lambda: measure(build, inputs=size, memory=True, backward=True),
        "under no_grad": lambda: torch.no_grad()(measure)(build, inputs=size, memory=True),
    }


@pytest.mark.parametrize("name", CASES)
def test_derived_by_hand(name: str) -> None:
    build, size, peak = CASES[name]
    for way, run in ways(build, size).items():
        found = run()
        assert found.peak_bytes == peak, way
        assert found.memory is not None
        assert found.memory.peak_bytes == peak == max(found.memory.live, default=0), way
        if way in ("a factory", "in train mode", "an instance"):
            with force_real_run():
                assert (run().peak_bytes, run().memory) == (peak, found.memory), f"{way}, for real"


@pytest.mark.parametrize("name", [name for name in CASES if name != "lstm"])
def test_half_the_bytes_take_half_the_memory(name: str) -> None:
    build, size, peak = CASES[name]
    assert measure(build, inputs=size, memory=True, dtype="bfloat16").peak_bytes == peak // 2


def test_who_is_alive_at_the_peak() -> None:
    memory = measure(Residual, inputs=(4, 8), memory=True).memory
    assert memory is not None
    assert (memory.operator, memory.module) == ("aten::relu", "")
    assert [(one.nbytes, one.operator, one.module) for one in memory.alive] == [
        (128, "input", ""),
        (128, "aten::linear", "a"),
        (128, "aten::relu", ""),
    ]
    assert memory.live == (256, 384, 384, 384)  # a, relu, b, add


def test_the_curve_of_what_is_alive() -> None:
    # 4 x 8 floats go in; 128 + 512, then 512 + 512, then 512 + 64
    memory = measure(chain, inputs=(4, 8), memory=True).memory
    assert memory is not None
    assert (memory.live, memory.stretch) == ((640, 1024, 576), 1)
    with force_real_run():
        assert measure(chain, inputs=(4, 8), memory=True).memory == memory


def test_a_long_curve_has_the_most_of_each_stretch() -> None:
    def long(before: int, after: int) -> nn.Module:
        return nn.Sequential(*[nn.ReLU() for _ in range(before)], chain(), *[nn.ReLU() for _ in range(after)])

    exact = measure(long(97, 300), inputs=(4, 8), memory=True)
    assert exact.memory is not None
    assert (len(exact.memory.live), exact.memory.stretch, exact.memory.live.index(1024)) == (400, 1, 98)
    # 128 go into each of 500 and come out, then the chain; 64 go into each of 300 and come out
    found = measure(long(500, 300), inputs=(4, 8), memory=True)
    assert found.memory is not None
    assert found.memory.live == (256,) * 166 + (640, 1024) + (128,) * 100
    assert (found.memory.stretch, found.peak_bytes) == (3, 1024)
    assert unfold(fold(found)) == found


def test_outputs_live_to_the_end_and_inputs_to_their_last_use() -> None:
    class Several(nn.Module):
        def forward(self, x: torch.Tensor, unused: torch.Tensor) -> Any:
            first = x + 1
            second = first.repeat(4)
            return first[:1], second.sum()  # a view keeps the whole

    memory = measure(Several(), (torch.zeros(8), torch.zeros(100)), memory=True).memory
    assert memory is not None
    # Inputs that nothing uses are alive at the beginning alone.
    assert memory.live == (32 + 32, 32 + 128, 32 + 128 + 4)


def test_weights_and_constants() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(8))
            self.register_buffer("shift", torch.ones(8))
            self.held = torch.ones(16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = (x * self.scale + self.shift).repeat(2)
            return y + self.held

    # mul: 32 + 32; add: 32 + 32; repeat: 32 + 64; then the constant of 64 that existed before, and 64 + 64
    memory = measure(Constant(), torch.zeros(8), memory=True).memory
    assert memory is not None
    assert memory.live == (64, 64, 96, 192)


def test_it_is_measured_where_it_is_asked_for() -> None:
    found = measure(chain, inputs=(4, 8))
    assert (found.peak_bytes, found.memory) == (None, None)
    assert measure(chain, memory=True).peak_bytes is None


class InAThread(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(self.layer(x)))
        thread.start()
        thread.join()
        return found[0]


class TakesGradients(nn.Linear):
    def forward(self, x: torch.Tensor) -> Any:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(super().forward(x).sum(), x)[0]


@pytest.mark.parametrize(
    "model", [InAThread(), TakesGradients(4, 4), nn.LazyLinear(4)], ids=lambda one: type(one).__name__
)
def test_what_cannot_be_known_is_not_measured(model: nn.Module) -> None:
    found = measure(model, torch.zeros(3, 4), memory=True)
    assert (found.macs or 0) > 0
    assert found.peak_bytes is None


def test_values_that_only_a_real_run_has() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x) if x.sum() > -1 else x

    found = measure(Branches(), torch.zeros(4, 8), memory=True)
    assert (found.run, found.peak_bytes) == ("real", 1024)


class Follows(TorchDispatchMode):
    """Keeps every tensor, so that no storage gets the place of another, and notes who uses which storage."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[tuple[set[Any], set[Any]]] = []
        self.kept: list[Any] = []
        self.sizes: dict[Any, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given, made = self.storages((args, kwargs)), self.storages(out)
        writes = any(argument.alias_info and argument.alias_info.is_write for argument in func._schema.arguments)
        writes &= func._schema.name != "aten::detach_"  # which changes what a tensor is, and none of its memory
        if made - given or writes or (given and not made):
            self.used.append((given, made))
        return out

    def storages(self, value: Any) -> set[Any]:
        tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
        self.kept.append(tensors)
        self.sizes.update((one.untyped_storage()._cdata, one.untyped_storage().nbytes()) for one in tensors)
        return {one.untyped_storage()._cdata for one in tensors}

    def peak(self, inputs: set[Any], outputs: set[Any], weights: set[Any]) -> int:
        end = len(self.used)
        lives = {storage: [-1, -1] for storage in inputs - weights}
        for number, (given, made) in enumerate(self.used):
            for storage in (given | made) - weights:
                lives.setdefault(storage, [number, number])[1] = number
        for storage in outputs & lives.keys():
            lives[storage][1] = end
        return max(
            (sum(self.sizes[key] for key, (a, b) in lives.items() if a <= now <= b) for now in range(end)), default=0
        )


UNKNOWN = {"jetmoe"}  # its experts need values, and in its real run no peak is known


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_another_computation_agrees(architecture: Architecture) -> None:
    build = factory(architecture, tiny=True)
    inputs = architecture.inputs(architecture.config(tiny=True))
    found = measure(build, kwargs=inputs, memory=True)
    assert (found.peak_bytes is None) == (architecture.name in UNKNOWN)
    if found.peak_bytes is None:
        return
    torch.manual_seed(0)
    model, follows = build().eval(), Follows()
    given = {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
    with torch.no_grad():
        guard = torch._C._AutoDispatchBelowAutograd()  # type: ignore[attr-defined]
        try:
            with follows:
                out = model(**given)
        finally:
            del guard
    weights = follows.storages([*model.parameters(), *model.buffers()])
    assert found.peak_bytes == follows.peak(follows.storages(given), follows.storages(tensors_of(out)), weights)
