"""Composite operators remembered as a whole: what a shape run reports is what really runs, the first time and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from pytest_modelbudget.counting import force_real_run, measure
from pytest_modelbudget.counting.shape_run.composites import can_remember_composites, without_composites
from pytest_modelbudget.measurement import Measurement


class Model(nn.Module):
    """A linear map of 4 features to 4, and a forward given as a function of it and its input."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.function = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)  # type: ignore[no-any-return]


X = torch.ones(3, 4)
LAYER = 3 * 4 * 4


def both(forward: Callable[..., Any], x: torch.Tensor = X, *, run: str = "shape") -> Measurement:
    """Measure twice by shapes and once for real, and check that the same operators ran where they should."""
    model = Model(forward)
    first, again = measure(model, x), measure(model, x)
    with force_real_run():
        real = measure(model, x)
    assert first == again
    assert set(first.operators) == set(real.operators)
    assert first.run == run
    return first


def named(found: Measurement) -> dict[str, int]:
    return {operator.name: operator.calls for operator in found.operators}


def test_linear_is_reported_as_what_it_calls() -> None:
    found = both(lambda self, x: self.linear(x))
    assert (found.macs, named(found)) == (LAYER, {"aten::addmm": 1})


def test_batches_fold_as_they_do_where_weights_require_gradients() -> None:
    x = torch.ones(5, 2, 4).transpose(0, 1)  # (2, 5, 4), not contiguous

    def frozen(self: Model, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.linear.weight.detach(), self.linear.bias)

    assert named(both(lambda self, x: self.linear(x), x)) == {"aten::mm": 1}
    assert named(both(frozen, x)) == {"aten::bmm": 1}
    assert both(frozen, x).macs == 2 * 5 * 4 * 4


def test_products_with_a_weight_and_with_its_view() -> None:
    assert both(lambda self, x: x @ self.linear.weight @ self.linear.weight.t()[:, :2]).macs == 3 * 4 * 4 + 3 * 4 * 2


def test_the_kernel_of_attention_is_the_one_chosen_now() -> None:
    def attend(_: Model, x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x)

    def attend_plainly(self: Model, x: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return attend(self, x)

    x = torch.ones(1, 2, 5, 8)
    one = 2 * 5 * 5 * 8  # heads * queries * keys * width, for the scores and for the values
    assert named(both(attend, x)) == {"aten::_scaled_dot_product_flash_attention_for_cpu": 1}
    assert named(both(attend_plainly, x)) == {"aten::bmm": 2}
    assert both(attend, x).macs == both(attend_plainly, x).macs == 2 * one


def test_gradients_that_the_forward_takes() -> None:
    def forces(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.linear(x).tanh().sum(), x)[0]

    assert both(forces).macs == LAYER + 3 * 4 * 4  # y = xW, dx = dy W


def test_functional_gradients_that_the_forward_takes() -> None:
    def forces(self: Model, x: torch.Tensor) -> torch.Tensor:
        return torch.func.vmap(torch.func.grad(lambda row: self.linear(row).tanh().sum()))(x)

    assert both(forces).macs == LAYER + 3 * 4 * 4


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_tangents_that_the_forward_computes() -> None:
    def tangent(self: Model, x: torch.Tensor) -> Any:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(self.linear(forward_ad.make_dual(x, torch.ones_like(x)))).tangent

    with force_real_run():
        real = measure(Model(tangent), X)
    assert both(tangent).macs == real.macs > LAYER


def test_a_forward_that_casts() -> None:
    def cast(self: Model, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.linear(x)
            assert y.dtype is torch.bfloat16
            return y.sum(0)

    assert both(cast).macs == LAYER


def test_measuring_where_everything_is_cast() -> None:
    def cast(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        assert y.dtype is torch.bfloat16
        return y

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert both(cast).macs == LAYER


def test_statistics_that_training_writes_are_written_each_time() -> None:
    def trained(self: Model, x: torch.Tensor) -> torch.Tensor:
        before = self.norm.running_mean
        y = self.norm(self.linear(x))
        assert self.norm.running_mean is before
        return y

    model = Model(trained).train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert measure(model, X) == measure(model, X)
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_dropout_returns_its_input_in_evaluation() -> None:
    def drop(self: Model, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        assert F.dropout(y, training=False) is y
        return self.linear(F.dropout(y, training=True))

    assert both(drop).macs == 2 * LAYER


def test_reshaping_a_weight_again_still_requires_gradients() -> None:
    def fold(self: Model, x: torch.Tensor) -> torch.Tensor:
        return x.view(1, 3, 4) @ self.linear.weight.reshape(4, 4) @ self.linear.weight.flatten().unflatten(0, (4, 4))

    assert both(fold).macs == 2 * LAYER


def test_parts_of_a_known_tensor_keep_their_values() -> None:
    def choose(self: Model, x: torch.Tensor) -> torch.Tensor:
        first, _ = torch.arange(4).reshape(2, 2).chunk(2)
        for _ in range(int(first.flatten().to(torch.int32).sum())):  # 0 + 1
            x = self.linear(x)
        return x

    assert both(choose).macs == LAYER


def test_an_exception_of_the_model_is_raised_with_and_without_autograd() -> None:
    def fail(self: Model, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        measure(Model(fail), X)


def test_without_the_shortcut_no_run_goes_below_autograd() -> None:
    seen: list[bool] = []

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        seen.append(torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.AutogradOther))
        return self.linear(x)

    assert can_remember_composites()
    measure(Model(forward), X)
    with without_composites():
        assert not can_remember_composites()
        measure(Model(forward), X)
    assert can_remember_composites()
    assert seen == [True, False]


def test_views_of_a_result_are_made_once() -> None:
    """As in a mixture of experts: a product, and its parts, which torch makes into views by itself."""

    def gated(self: Model, x: torch.Tensor) -> torch.Tensor:
        gate, up = torch.mm(x, self.linear.weight.t()).chunk(2, dim=-1)
        return gate * up

    for width in (4, 5):
        measured = measure(Model(gated), torch.ones(width, 4))
        assert (measured.macs, measured.run) == (width * 4 * 4, "shape")
