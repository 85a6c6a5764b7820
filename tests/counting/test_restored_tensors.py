"""The data of tensors is as before, whatever a forward did to it: written, resized, exchanged."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

from .shape_run.model import Model, rows

OUTSIDE = torch.ones(4)


def resized(self: Model, x: torch.Tensor) -> None:
    self.h.resize_(x.shape[0] * 1_000_000).zero_()


def resized_and_back(self: Model, x: torch.Tensor) -> None:
    self.h.resize_(1000).fill_(3)
    self.h.resize_(4)


def resized_integers(self: Model, x: torch.Tensor) -> None:
    self.n.resize_(100_000).zero_()


def resized_by_out(self: Model, x: torch.Tensor) -> None:
    self.empty.resize_(0)
    torch.add(torch.ones(100, 4), 1, out=self.empty)


def resized_storage(self: Model, x: torch.Tensor) -> None:
    self.h.untyped_storage().resize_(1 << 20)


def set_to_another(self: Model, x: torch.Tensor) -> None:
    self.h.set_(torch.zeros(7, 3))
    self.h.fill_(5)


def set_to_a_weight(self: Model, x: torch.Tensor) -> None:
    self.h.set_(self.linear.weight.detach())
    self.h.zero_()


def transposed(self: Model, x: torch.Tensor) -> None:
    self.square.t_()
    self.square.unsqueeze_(0)


def data_of_a_buffer(self: Model, x: torch.Tensor) -> None:
    self.h.data = torch.zeros(5)


def data_of_an_attribute(self: Model, x: torch.Tensor) -> None:
    self.plain.data = torch.zeros(5, dtype=torch.float16)


def data_of_integers(self: Model, x: torch.Tensor) -> None:
    self.n.data = torch.zeros(5, dtype=torch.int32)


def data_of_integers_that_values_decide(self: Model, x: torch.Tensor) -> None:
    self.n.data = (x[:, 0] * 0 + 3).long()
    assert self.n.untyped_storage().nbytes() == 8 * self.n.tolist().count(3)


def data_of_a_tensor_outside(self: Model, x: torch.Tensor) -> None:
    OUTSIDE.data = torch.zeros(5)
    OUTSIDE.add_(1)


def data_of_a_weight(self: Model, x: torch.Tensor) -> None:
    self.linear.weight.data = torch.zeros(4, 4)


def data_of_a_weight_doubled(self: Model, x: torch.Tensor) -> None:
    self.linear.weight.data = self.linear.weight.data * 2


def viewed(self: Model, x: torch.Tensor) -> None:
    self.h[:2].add_(1)
    self.linear.weight.data[0] += 1
    self.linear.weight.detach().view(-1)[3:].zero_()


def outside(self: Model, x: torch.Tensor) -> None:
    OUTSIDE.resize_(1_000_000).zero_()


def input_resized(self: Model, x: torch.Tensor) -> None:
    x.resize_(40_000_000)


CHANGES: list[Callable[..., None]] = [
    resized,
    resized_and_back,
    resized_integers,
    resized_by_out,
    resized_storage,
    set_to_another,
    set_to_a_weight,
    transposed,
    data_of_a_buffer,
    data_of_an_attribute,
    data_of_integers,
    data_of_integers_that_values_decide,
    data_of_a_tensor_outside,
    data_of_a_weight,
    data_of_a_weight_doubled,
    viewed,
    outside,
    input_resized,
]


def state(tensors: list[torch.Tensor]) -> list[Any]:
    found = []
    for tensor in tensors:
        data = hashlib.sha256(bytes(tensor.detach().contiguous().view(-1).view(torch.uint8).tolist())).hexdigest()
        storage = tensor.untyped_storage()
        found.append((tensor.shape, tensor.stride(), tensor.dtype, storage.nbytes(), storage._cdata, data))
    return found


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("raises", [False, True])
def test_data_and_metadata_are_as_before(change: Callable[..., None], raises: bool) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        change(self, x)
        if raises:
            raise KeyError("after the change")
        return self.linear(torch.ones(3, 4))

    model, x = Model(forward), rows(40)
    model.register_buffer("h", torch.arange(4.0))
    model.register_buffer("n", torch.arange(4))
    model.register_buffer("empty", torch.arange(4.0))
    model.square = nn.Parameter(torch.rand(4, 2), requires_grad=False)
    model.plain = torch.arange(4.0)
    tensors = [x, OUTSIDE, model.h, model.n, model.empty, model.plain, *model.parameters()]
    before = state(tensors)
    for _ in range(2):
        for backward in (False, True):
            for forced in (False, True):
                try:
                    with force_real_run() if forced else torch.no_grad():
                        assert measure(model, x, backward=backward).macs == 3 * 4 * 4
                except KeyError:
                    assert raises
                assert state(tensors) == before


def test_a_weight_whose_data_is_exchanged_has_the_new_shape() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.linear.weight.data = torch.zeros(8, 4)
        self.linear.bias.data = torch.zeros(8)
        return self.linear(x)

    model = Model(forward)
    assert measure(model, rows(3)).macs == 3 * 4 * 8
    assert model.linear.weight.shape == (4, 4)


READS: list[Callable[[torch.Tensor], Any]] = [
    lambda k: k.numpy()[0],
    lambda k: k.untyped_storage()[0],
    lambda k: k.data_ptr(),
    lambda k: torch.from_dlpack(k),
    lambda k: k.tolist(),
]


@pytest.mark.filterwarnings("ignore:The given (NumPy array|buffer) is not writable")
@pytest.mark.parametrize("read", READS, ids=["numpy", "storage", "address", "dlpack", "list"])
@pytest.mark.parametrize("of_numpy", [False, True])
def test_memory_that_can_only_be_read(of_numpy: bool, read: Callable[[torch.Tensor], Any], tmp_path: Path) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        read(self.k)
        return self.linear(x)

    file = tmp_path / "table.bin"
    file.write_bytes(bytes(range(64)))
    model = Model(forward)
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    table = torch.from_numpy(numpy.memmap(file, mode="r")) if of_numpy else torch.frombuffer(mapped, dtype=torch.uint8)
    model.register_buffer("k", table)
    for given in (model, lambda: model):
        for forced in (False, True):
            with force_real_run() if forced else torch.no_grad():
                assert measure(given, rows(3)).macs == 3 * 4 * 4
    assert model.k.tolist() == list(range(64))


@pytest.mark.parametrize("which", ["out", "view", "buffer", "weight", "storage"])
def test_memory_that_is_moved_to_be_shared(which: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(x)
        tensors = {"out": out, "view": out.detach(), "buffer": self.k, "weight": self.linear.weight.detach()}
        if which == "storage":
            out.untyped_storage().share_memory_()
        else:
            tensors[which].share_memory_()
        self.k += 1
        return out

    model = Model(forward)
    model.register_buffer("k", torch.arange(3))
    weight = model.linear.weight.detach().clone()
    for forced in (False, True):
        with force_real_run() if forced else torch.no_grad():
            assert measure(model, rows(3)).macs == 3 * 4 * 4
        assert model.k.tolist() == [0, 1, 2]
        assert model.linear.weight.equal(weight)


@pytest.mark.parametrize("run", [nullcontext, force_real_run])
def test_a_graph_that_holds_a_restored_buffer_still_has_its_backward(run: Callable[[], Any]) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale: torch.Tensor
            self.register_buffer("scale", torch.ones(4))
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = x * self.weight * self.scale
            self.scale[:2].add_(1)  # through a view, which has the counter of its base
            return out

    model = Scaled()
    out = torch.ones(4) * model.weight * model.scale
    with run():
        measure(model, torch.ones(1, 4))
    out.sum().backward()
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [1, 1, 1, 1]
