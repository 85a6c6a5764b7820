"""Memory that others can read and write: NumPy arrays of tensors, tensors of arrays, addresses, Python functions."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure
from pytest_modelbudget.measurement import Measurement

from .model import Model, both, rows


def real(model: nn.Module, *args: Any) -> Measurement:
    with force_real_run():
        return measure(model, args)


WAYS_TO_NUMPY: dict[str, Callable[[torch.Tensor], Any]] = {
    "numpy": lambda k: k.numpy()[0],
    "forced": lambda k: k.numpy(force=True)[0],
    "unbound": lambda k: torch.Tensor.numpy(k)[0],
    "asarray": lambda k: numpy.asarray(k)[0],
    "array": lambda k: numpy.array(k)[0],
    "float32": lambda k: numpy.float32(k)[0],
    "stack": lambda k: numpy.stack([k])[0, 0],
    "memoryview": lambda k: memoryview(k.numpy())[0],
    "dlpack": lambda k: numpy.from_dlpack(k)[0],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS_TO_NUMPY)
@pytest.mark.parametrize("kind", [nn.Parameter, nn.Buffer if hasattr(nn, "Buffer") else torch.Tensor])
@pytest.mark.parametrize("as_factory", [False, True])
def test_weights_that_nothing_writes_into_become_arrays(way: str, kind: Any, as_factory: bool) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(WAYS_TO_NUMPY[way](self.k.detach() if self.k.requires_grad else self.k))):
            x = self.linear(x)
        return x

    def built() -> Model:
        model = Model(forward)
        if kind is nn.Parameter:
            model.k = nn.Parameter(torch.full((1,), 3.0), requires_grad=False)
        else:
            model.register_buffer("k", torch.full((1,), 3.0))
        return model

    found = measure(built if as_factory else built(), rows(4))
    assert found.macs == 3 * 4 * 4 * 4  # three times (4, 4) @ (4, 4)


@pytest.mark.parametrize("real", [False, True])
def test_what_is_written_through_an_array_of_a_buffer_is_undone(real: bool) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.k.numpy()[0] += 2
        for _ in range(int(self.k.item())):
            x = self.linear(x)
        return x

    model = Model(forward)
    model.register_buffer("k", torch.ones(1))
    with force_real_run() if real else nullcontext():
        found = measure(model, rows(4))
    assert found.macs == 3 * 4 * 4 * 4  # one and two more
    assert model.k.tolist() == [1]


def test_what_is_written_through_an_address_is_undone() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        ctypes.c_float.from_address(self.k.data_ptr()).value = 7.0
        return self.linear(x)

    model = Model(forward)
    model.register_buffer("k", torch.ones(1))
    both_ways = [measure(model, rows(4)), real(model, rows(4))]
    assert [found.macs for found in both_ways] == [4 * 4 * 4] * 2
    assert model.k.tolist() == [1]


def test_an_array_of_a_buffer_that_unknown_values_are_written_into() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        shared = self.k.numpy()
        self.k += x.sum() * 0 + 2
        return self.linear(x.expand(int(shared[0]), 4))

    model = Model(forward)
    model.register_buffer("k", torch.ones(1))
    assert measure(model, torch.ones(1, 4)).macs == 3 * 4 * 4


ELEMENTWISE: dict[str, Callable[[torch.Tensor], Any]] = {
    "apply_": lambda t: t.apply_(lambda v: v * 2),
    "map_": lambda t: t.map_(t, lambda v, w: v * 2),
    "map2_": lambda t: t.map2_(t, t, lambda v, w, u: v * 2),
    "unbound": lambda t: torch.Tensor.apply_(t, lambda v: v * 2),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("on", ["input", "buffer", "detached", "integers"])
def test_python_functions_for_every_element(name: str, on: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        targets = {"input": x, "buffer": self.k, "detached": self.k.detach(), "integers": self.n}
        ELEMENTWISE[name](targets[on])
        return self.linear(x[: int(self.n.item())])

    model, x = Model(forward), rows(3)
    model.register_buffer("k", torch.ones(1))
    model.register_buffer("n", torch.ones(1, dtype=torch.long))
    found = measure(model, x)
    assert (found.run, found.macs) == ("real", (2 if on == "integers" else 1) * 4 * 4)
    assert (x.sum(), model.k, model.n) == (12, 1, 1)


@pytest.mark.parametrize("method", ["tolist", "numpy", "data_ptr", "apply_", "map_", "__array__"])
def test_unbound_methods_whose_exception_the_model_catches(method: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        functions = {"apply_": (lambda v: v,), "map_": (x, lambda v, w: v)}
        try:
            getattr(torch.Tensor, method)(x, *functions.get(method, ()))
        except BaseException:
            return x
        return self.linear(x)

    assert both(forward, rows(3), run="real").macs == 3 * 4 * 4


FOREIGN: dict[str, Callable[[Any], torch.Tensor]] = {
    "from_numpy": torch.from_numpy,
    "as_tensor": torch.as_tensor,
    "asarray": torch.asarray,
    "frombuffer": lambda array: torch.frombuffer(array, dtype=torch.from_numpy(array).dtype),
    "from_dlpack": torch.from_dlpack,
}


@pytest.mark.parametrize("way", FOREIGN)
@pytest.mark.parametrize("dtype", [numpy.int64, numpy.float32])
@pytest.mark.parametrize("write", ["add_", "copy_", "view"])
def test_memory_of_arrays(way: str, dtype: Any, write: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        counts = numpy.zeros(1, dtype=dtype)
        tensor, number = FOREIGN[way](counts), x.sum().to(torch.from_numpy(counts).dtype)
        if write == "add_":
            tensor.add_(number)
        elif write == "copy_":
            tensor.copy_(number)
        else:
            tensor[:1] += number
        return self.linear(x.expand(int(counts[0]), 4))

    assert both(forward, torch.ones(1, 4), run="real").macs == 4 * 4 * 4  # the sum of the input is 4


@pytest.mark.parametrize("shared", ["array of a tensor", "tensor of an array", "buffer", "bytes"])
@pytest.mark.parametrize("as_factory", [False, True])
def test_memory_that_is_shared_from_the_start(shared: str, as_factory: bool) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        self.t.add_(x.sum().to(self.t.dtype))
        count = self.array[0] if shared != "bytes" else struct.unpack("q", self.array)[0]
        return self.linear(x.expand(int(count), 4))

    def built() -> Model:
        model = Model(forward)
        if shared == "array of a tensor":
            model.t = torch.zeros(1, dtype=torch.long)
            model.array = model.t.numpy()
        elif shared == "bytes":
            model.array = bytearray(8)
            model.t = torch.frombuffer(model.array, dtype=torch.long)
        else:
            model.array = numpy.zeros(1, dtype=numpy.float32)
            model.t = torch.from_numpy(model.array)
            if shared == "buffer":
                del model.t
                model.register_buffer("t", torch.from_numpy(model.array))
        return model

    given: Any = built if as_factory else built()
    assert measure(given, torch.ones(1, 4)).macs == 4 * 4 * 4
    assert as_factory or not any(given.array)


@pytest.mark.parametrize("shared", ["array of the input", "input of an array"])
@pytest.mark.parametrize("through", ["itself", "a view", "a detached alias"])
def test_an_input_whose_memory_the_model_reads(shared: str, through: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        {"itself": x, "a view": x[0], "a detached alias": x.detach()}[through].mul_(4)
        return self.linear(x.expand(int(self.array[0, 0]), 4))

    model, array = Model(forward), numpy.ones((1, 4), dtype=numpy.float32)
    x = torch.from_numpy(array) if shared == "input of an array" else torch.ones(1, 4)
    model.array = x.numpy()
    assert measure(model, x).macs == 4 * 4 * 4
    assert x.sum() == 4
    assert measure(model, x).run == "real"


def test_an_input_of_an_array_that_is_only_read() -> None:
    x = torch.from_numpy(numpy.ones((3, 4), dtype=numpy.float32))
    assert both(lambda self, x: self.linear(x[1:].relu()), x).macs == 2 * 4 * 4


def test_memory_of_arrays_that_known_values_are_written_into() -> None:
    array = numpy.zeros(1, dtype=numpy.int64)

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        torch.as_tensor(array).add_(3)
        return self.linear(x.expand(int(array[0]), 4))

    assert both(forward, torch.ones(1, 4)).macs == 3 * 4 * 4
    assert array[0] == 0
