"""Operators of other packages that are known from the start, by stand-ins that have their names and arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import formula, measure
from pytest_modelbudget.counting.operators import registry

SCHEMAS = {
    "bitsandbytes::gemm_4bit": "(Tensor A, Tensor B, int[] shapeB, Tensor absmax, int blocksize, str quant_type) -> Tensor",
    "bitsandbytes::dequantize_4bit": "(Tensor A, Tensor absmax, int blocksize, str quant_type, int[] shape, ScalarType dtype) -> Tensor",
    "bitsandbytes::dequantize_blockwise": "(Tensor A, Tensor absmax, Tensor code, int blocksize, ScalarType dtype) -> Tensor",
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::deform_conv2d": "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int groups) -> Tensor",
    "fsdp::copy_in": "(Tensor x) -> Tensor",
    "pippy::_pipe_split": "() -> ()",
    "quantized_decomposed::dequantize_per_tensor": "(Tensor x, float scale, int zero, int low, int high, ScalarType dtype) -> Tensor",
}


@pytest.fixture(autouse=True)
def libraries() -> Iterator[None]:
    """Define the operators that this process does not have, for as long as the test runs."""
    made = []
    for name, schema in SCHEMAS.items():
        namespace, _, operator = name.partition("::")
        if not hasattr(getattr(torch.ops, namespace), operator):
            library = torch.library.Library(namespace, "FRAGMENT")
            library.define(operator + schema)
            library.impl(operator, IMPLEMENTATIONS[name], "CompositeExplicitAutograd")
            made.append(library)
    yield
    for library in made:
        library._destroy()
    registry.notify_changed()


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "bitsandbytes::gemm_4bit": lambda x, packed, shape, *_: x.new_zeros((*x.shape[:-1], shape[0])),
    "bitsandbytes::dequantize_4bit": lambda x, absmax, size, kind, shape, dtype: x.new_zeros(shape, dtype=dtype),
    "bitsandbytes::dequantize_blockwise": lambda x, absmax, code, size, dtype: x.to(dtype),
    "torchvision::nms": lambda boxes, scores, threshold: torch.zeros(1, dtype=torch.long, device=boxes.device),
    "torchvision::deform_conv2d": lambda x, weight, *_: x.new_zeros((len(x), len(weight), *x.shape[2:])),
    "fsdp::copy_in": lambda x: x.clone(),
    "pippy::_pipe_split": lambda: None,
    "quantized_decomposed::dequantize_per_tensor": lambda x, scale, zero, low, high, dtype: (
        (x.to(dtype) - zero) * scale
    ),
}


class Calls(nn.Module):
    def __init__(self, call: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: torch.Tensor) -> Any:
        return self.call(x)


BYTES = torch.zeros(64, dtype=torch.uint8)


def deform(x: torch.Tensor) -> torch.Tensor:
    weight = torch.ones(8, 2, 3, 3)
    return torch.ops.torchvision.deform_conv2d(
        x, weight, torch.ones(1, 18, 5, 5), torch.ones(1, 9, 5, 5), torch.ones(8), 2
    )


@pytest.mark.parametrize(
    ("call", "shape", "macs"),
    [
        (lambda x: torch.ops.bitsandbytes.gemm_4bit(x, BYTES, [16, 8], torch.ones(2), 64, "nf4"), (3, 8), 3 * 8 * 16),
        (lambda x: torch.ops.bitsandbytes.dequantize_4bit(BYTES, x, 64, "nf4", [16, 8], torch.float32), (2,), 0),
        (lambda x: torch.ops.bitsandbytes.dequantize_blockwise(BYTES, x, x, 64, torch.float32), (2,), 0),
        (lambda x: torch.ops.torchvision.nms(x, x[:, 0], 0.5), (6, 4), 0),
        (deform, (1, 4, 5, 5), 25 * 8 * 2 * 9),  # positions * Cout * Cin/groups * kernel
        (lambda x: torch.ops.fsdp.copy_in(x), (4,), 0),
        (lambda x: torch.ops.pippy._pipe_split() or x, (4,), 0),
        (
            lambda x: torch.ops.quantized_decomposed.dequantize_per_tensor(BYTES, 0.1, 0, 0, 255, torch.float32) * x,
            (64,),
            0,
        ),
    ],
    ids=[
        "gemm_4bit",
        "dequantize_4bit",
        "dequantize_blockwise",
        "nms",
        "deform_conv2d",
        "fsdp",
        "pippy",
        "quantized_decomposed",
    ],
)
def test_operators_known_from_the_start(call: Callable[..., Any], shape: tuple[int, ...], macs: int) -> None:
    found = measure(Calls(call), torch.ones(shape))
    assert (found.macs, found.unknown) == (macs, ())


def test_a_formula_of_the_user_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_formulas", {**registry._formulas})
    formula("bitsandbytes::gemm_4bit")(lambda *_, **__: 7)
    call = Calls(lambda x: torch.ops.bitsandbytes.gemm_4bit(x, BYTES, [16, 8], torch.ones(2), 64, "nf4"))
    assert measure(call, torch.ones(3, 8)).macs == 7


def test_an_operator_that_autograd_alone_decomposes_is_counted_by_what_it_calls() -> None:
    library = torch.library.Library("modelbudget_surrogate", "FRAGMENT")
    try:
        library.define("spike(Tensor x, Tensor w) -> Tensor")
        library.impl("spike", lambda x, w: (x @ w).relu(), "AutogradCPU")
        model = nn.Module()
        model.weight = nn.Parameter(torch.ones(8, 4))
        model.forward = lambda x: torch.ops.modelbudget_surrogate.spike(x, model.weight)
        found = measure(model, torch.ones(3, 8))
        assert (found.macs, found.unknown) == (3 * 8 * 4, ())
    finally:
        library._destroy()


def _sparse(layout: str) -> torch.Tensor:
    return getattr(torch.eye(8), layout)()


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
@pytest.mark.parametrize("product", [torch.sparse.mm, torch.matmul, lambda a, b: a @ b])
def test_a_product_of_two_sparse_matrices_counts_the_pairs_that_meet(layout: str, product: Callable[..., Any]) -> None:
    """The k-th column of eye(8) holds one element, and so does its k-th row: 8 pairs; with a full column, 8 + 7."""
    eye = _sparse(layout)
    full = torch.eye(8)
    full[:, 0] = 1
    call = Calls(lambda x: product(eye, eye).to_dense() + x)
    assert measure(call, torch.ones(8, 8)).macs == 8
    wide = getattr(full, layout)()
    assert measure(Calls(lambda x: product(wide, eye).to_dense() + x), torch.ones(8, 8)).macs == 8 + 7


def test_attention_of_packed_sequences_counts_each_by_its_own_length() -> None:
    """Lengths 3 and 5, 2 heads of 16: 2 * (9 + 25) * (16 + 16)."""
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    starts = torch.tensor([0, 3, 8], dtype=torch.int32)

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return varlen.varlen_attn(x, x, x, starts, starts, 5, 5)

    assert measure(Model(), torch.zeros(8, 2, 16)).macs == 2 * (9 + 25) * 32
    packed = (torch.ones(8, 2, 16),) * 3
    count = registry.find_formula("torch_attn::_varlen_attn")
    assert count is not None
    assert count.function(*packed, starts, starts, 5, 5, out=packed) == 2176


def test_einsum_of_three_operands_takes_its_operands_from_left_to_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """(2, 30) by (30, 3) and then by (3, 40): 180 + 240, whatever path opt_einsum would choose."""
    from pytest_modelbudget.counting import observe

    class Paths:
        """Stands for opt_einsum, which is not installed here, and takes the last two operands first: 3600 + 2400."""

        @staticmethod
        def contract_path(*_: Any, **__: Any) -> Any:
            return [(1, 2), (0, 1)], None

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.einsum("ij,jk,kl->il", x, torch.ones(30, 3), torch.ones(3, 40))

    backend = torch.backends.opt_einsum
    monkeypatch.setattr(backend, "_opt_einsum", Paths)
    monkeypatch.setattr(backend, "enabled", True)
    monkeypatch.setattr(backend, "strategy", "auto")
    assert measure(Model(), torch.ones(2, 30)).macs == 180 + 240
    with observe() as seen:
        Model()(torch.ones(2, 30))
    assert [one.macs for one in seen.measurements] == [180 + 240]
    assert torch.backends.opt_einsum.enabled
