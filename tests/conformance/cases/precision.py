"""Other dtypes, layouts and modes: the count is that of the same product in float32, whatever runs it.

Complex: one complex multiply-accumulate is one MAC. Sparse by dense: one MAC for each stored element and column.
Quantised modules keep packed weights, which are no Parameters: they count all the same, and none of them trains.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, rand

cases = Family("precision")
quantised = Family("quantised")
sparse = Family("sparse")
fn = cases.expression


def half(dtype: torch.dtype) -> None:
    name = str(dtype).removeprefix("torch.")
    cases.case(
        lambda: rand(4, 16).to(dtype),
        name=f"linear_{name}",
        macs=4 * (16 * 32 + 32 * 8),
        params=16 * 32 + 32 + 32 * 8 + 8,
        training=4 * (2 * 16 * 32 + 3 * 32 * 8),
        why="the dtype is free",
    )(lambda: nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8)).to(dtype))
    cases.case(
        lambda: rand(2, 3, 8, 8).to(dtype),
        name=f"conv_{name}",
        macs=2 * 36 * 4 * 27,
        params=4 * 27 + 4,
        training=2 * 2 * 36 * 4 * 27,
        why="the dtype is free",
    )(lambda: nn.Conv2d(3, 4, 3).to(dtype))


half(torch.float16)
half(torch.bfloat16)


def int8(*shape: int) -> torch.Tensor:
    return torch.randint(-9, 9, shape, dtype=torch.int8)


def float8_product(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    scale = torch.ones((), device=x.device)
    return torch._scaled_mm(x, w.t(), scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16)


def float8(*shape: int) -> torch.Tensor:
    return rand(*shape).to(torch.float8_e4m3fn)


fn("int_mm", torch._int_mm, args=lambda: (int8(32, 16), int8(16, 24)), macs=32 * 16 * 24, training=12288, why="n*k*m")
fn(
    "scaled_mm",
    float8_product,
    args=lambda: (float8(32, 16), float8(48, 16)),
    macs=32 * 16 * 48,
    training=32 * 16 * 48,
    why="n*k*m in float8",
)


def grouped_product(x: torch.Tensor, w: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    return torch._grouped_mm(x, w, offs=ends)


fn(
    "grouped_mm",
    grouped_product,
    args=lambda: (
        rand(8, 16, dtype=torch.bfloat16),
        rand(2, 16, 32, dtype=torch.bfloat16),
        torch.tensor([3, 8], dtype=torch.int32),
    ),
    macs=8 * 16 * 32,
    training=8 * 16 * 32,
    why="each of the 8 rows meets one of the two matrices",
    unavailable="" if hasattr(torch, "_grouped_mm") else "this torch has no _grouped_mm",
)


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type if x.device.type != "meta" else "cpu", dtype=torch.bfloat16):
            return self.inner(x)


@cases.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 64 + 32 * 8 + 8,
    training=4 * (2 * 16 * 32 + 3 * 32 * 8),
    why="casts are free",
)
def autocast() -> nn.Module:
    return Autocast()


class Inference(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            features = self.backbone(x)
        return self.head(features.clone())


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 36 * 4 * 27 + 2 * 144 * 8 + 2 * 8 * 3,
    params=4 * 27 + 4 + 144 * 8 + 8 + 8 * 3 + 3,
    training=2 * 36 * 4 * 27 + 2 * 144 * 8 + 2 * 2 * 8 * 3,
    why="no backward inside inference_mode: the head alone has a dW",
)
def inference_mode_inside() -> nn.Module:
    return Inference()


class NoGrad(Inference):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 36 * 4 * 27 + 2 * 144 * 8 + 2 * 8 * 3,
    params=4 * 27 + 4 + 144 * 8 + 8 + 8 * 3 + 3,
    training=2 * 36 * 4 * 27 + 2 * 144 * 8 + 2 * 2 * 8 * 3,
    why="no backward inside no_grad: the head alone has a dW",
)
def no_grad_inside() -> nn.Module:
    return NoGrad()


@cases.case(
    lambda: rand(4, 16, dtype=torch.complex64),
    macs=4 * 16 * 8,
    params=16 * 8 + 8,
    why="one complex multiply-accumulate is one MAC",
)
def complex_linear() -> nn.Module:
    return nn.Linear(16, 8, dtype=torch.complex64)


fn(
    "complex_product",
    lambda x, y: x @ y.mH,
    args=lambda: (rand(4, 16, dtype=torch.complex64), rand(8, 16, dtype=torch.complex64)),
    macs=4 * 16 * 8,
    training=4 * 16 * 8,
    why="conjugation is a flag, not work",
)
fn(
    "fourier_layer",
    lambda x, re, im: torch.fft.irfft(torch.einsum("bix,iox->box", torch.fft.rfft(x), torch.complex(re, im))),
    (3, 4, 9),
    (3, 4, 9),
    args=lambda: rand(2, 3, 16),
    macs=2 * 3 * 4 * 9,
    training=2 * 2 * 3 * 4 * 9,
    why="one complex product of 9 modes; the transforms are free; +dW",
)


@quantised.case(
    lambda: rand(4, 16),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 32 + 32 + 32 * 8 + 8,
    trainable=0,
    why="N*in*out in int8",
    varies={"mode": "quantised modules have no training mode", "meta": "packed weights cannot move to meta"},
    needs_values="packed weights are no tensors",
)
def dynamic_linear() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8)).eval()
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear})


@quantised.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 36 * 4 * 27 + 2 * 144 * 5,
    params=4 * 27 + 4 + 144 * 5 + 5,
    trainable=0,
    why="convolution and linear in int8",
    varies={"mode": "quantised modules have no training mode", "meta": "packed weights cannot move to meta"},
    needs_values="quantised tensors have scales, which are values",
)
def static() -> nn.Module:
    import torch.ao.quantization as q

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = (q.QuantStub(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5), q.DeQuantStub())
        model = nn.Sequential(*layers).eval()
        model.qconfig = q.get_default_qconfig("x86")
        q.prepare(model, inplace=True)
        model(torch.randn(2, 3, 8, 8))
        return q.convert(model)


class FakeQuantised(nn.Module):
    """Quantisation-aware training in short: weights rounded to int8 in forward, straight-through gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = torch.fake_quantize_per_tensor_affine(self.linear.weight, 0.01, 0, -128, 127)
        return F.linear(x, weight, self.linear.bias)


@quantised.case(
    lambda: rand(4, 16), macs=4 * 16 * 8, params=16 * 8 + 8, training=2 * 4 * 16 * 8, why="rounding is element-wise"
)
def aware_training() -> nn.Module:
    return FakeQuantised()


class SparseProduct(nn.Module):
    """A graph convolution: neighbours are summed by a sparse matrix with 7 stored elements."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        rows, columns = torch.tensor([0, 0, 1, 2, 3, 4, 5]), torch.tensor([1, 2, 0, 0, 5, 3, 4])
        matrix = torch.sparse_coo_tensor(torch.stack((rows, columns)), torch.ones(7), (6, 6), check_invariants=True)
        self.register_buffer("matrix", matrix.coalesce().to_sparse(layout=layout))
        self.linear = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.matrix @ self.linear(x)


SPARSE: dict[str, Any] = {
    "varies": {"meta": "a sparse tensor's elements cannot be counted without values"},
    "needs_values": "sparse tensors stay real",
}


@sparse.case(
    lambda: rand(6, 5), macs=6 * 5 * 4 + 7 * 4, params=24, why="linear, then 7 elements by 4 columns", **SPARSE
)
def coo_by_dense() -> nn.Module:
    return SparseProduct(torch.sparse_coo)


@sparse.case(
    lambda: rand(6, 5), macs=6 * 5 * 4 + 7 * 4, params=24, why="linear, then 7 elements by 4 columns", **SPARSE
)
def csr_by_dense() -> nn.Module:
    return SparseProduct(torch.sparse_csr)


def eye(size: int) -> torch.Tensor:
    return torch.eye(size).to_sparse()


sparse.expression("mm", torch.sparse.mm, args=lambda: (eye(6), rand(6, 4)), macs=24, why="6*4", **SPARSE)
sparse.expression("mv", torch.mv, args=lambda: (eye(6), rand(6)), macs=6, why="6 elements", **SPARSE)
sparse.expression(
    "addmm", torch.sparse.addmm, args=lambda: (rand(6, 4), eye(6), rand(6, 4)), macs=24, why="6*4", **SPARSE
)
