"""Recomputation, custom backwards, function transforms: work that really runs counts, whoever starts it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vjp, vmap
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from ..case import Family, rand
from ..case import grad as input_with_grad

cases = Family("autograd")
transforms = Family("func")

LINEAR = 4 * 16 * 16
PARAMS = 16 * 16 + 16


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.stem = nn.Linear(16, 16)
        self.block = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(self.block, self.stem(x), use_reentrant=self.reentrant)


for reentrant in (True, False):
    cases.case(
        lambda: rand(4, 16),
        name="checkpoint_reentrant" if reentrant else "checkpoint",
        macs=3 * LINEAR,
        params=3 * PARAMS,
        training=2 * LINEAR + 2 * 4 * LINEAR,
        why="stem with dW; each of the two layers in the block runs forward twice, dW, dX",
    )(lambda reentrant=reentrant: Checkpointed(reentrant))


class CheckpointedLinears(Checkpointed):
    def __init__(self, reentrant: bool) -> None:
        super().__init__(reentrant)
        self.block = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))


@cases.case(
    lambda: rand(4, 16),
    macs=3 * LINEAR,
    params=3 * PARAMS,
    training=2 * LINEAR + 4 * LINEAR + 3 * LINEAR,
    why="recomputation stops early: the block's last product is not needed again",
)
def checkpoint_stops_early() -> nn.Module:
    return CheckpointedLinears(False)


@cases.case(
    lambda: rand(4, 16),
    macs=3 * LINEAR,
    params=3 * PARAMS,
    training=2 * LINEAR + 4 * LINEAR + 4 * LINEAR,
    why="the reentrant kind runs the whole block again",
)
def checkpoint_reentrant_to_the_end() -> nn.Module:
    return CheckpointedLinears(True)


class InSegments(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = [layer for _ in range(4) for layer in (nn.Linear(16, 16), nn.ReLU())]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint_sequential(self.layers, 2, x, use_reentrant=False)


@cases.case(
    lambda: input_with_grad(4, 16),
    macs=4 * LINEAR,
    params=4 * PARAMS,
    training=2 * 4 * LINEAR + 2 * 3 * LINEAR,
    why="two segments of two layers; the last segment is not checkpointed",
)
def checkpoint_in_segments() -> nn.Module:
    return InSegments()


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, w = ctx.saved_tensors
        return g @ w.t(), x.t() @ g


class WithSetup(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, w = ctx.saved_tensors
        return g @ w.t() if ctx.needs_input_grad[0] else None, x.t() @ g


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        return g


cases.expression(
    "custom_function",
    Product.apply,
    (16, 16),
    args=lambda: rand(4, 16),
    macs=LINEAR,
    training=3 * LINEAR,
    why="its backward always runs both products",
)
cases.expression(
    "custom_function_with_setup",
    WithSetup.apply,
    (16, 16),
    args=lambda: rand(4, 16),
    macs=LINEAR,
    training=2 * LINEAR,
    why="its backward asks which gradients are needed",
)
cases.expression(
    "straight_through",
    lambda x, v, w: StraightThrough.apply(x @ v) @ w,  # type: ignore[no-untyped-call]
    (16, 16),
    (16, 16),
    args=lambda: rand(4, 16),
    macs=2 * LINEAR,
    training=5 * LINEAR,
    why="first: dW; second: dW, dX",
)


class Forces(nn.Module):
    """Energy and its gradient for the positions, as in models of molecules."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            energy = self.energy(x).sum()
            (force,) = torch.autograd.grad(energy, x)
        return energy.detach(), force


@cases.case(
    lambda: rand(4, 16),
    macs=2 * (LINEAR + 4 * 16 * 1),
    params=PARAMS + 17,
    why="forward, and dX of both layers inside forward",
    varies={"grad": "inference_mode forbids the gradient that forward takes"},
)
def gradient_in_forward() -> nn.Module:
    return Forces()


fn = transforms.expression
fn(
    "vmap_of_vectors",
    lambda x, w: vmap(lambda row: w @ row)(x),
    (16, 16),
    args=lambda: rand(4, 16),
    macs=LINEAR,
    training=2 * LINEAR,
    why="four times a matrix by a vector; +dW",
)
fn(
    "vmap_of_both",
    lambda x, w: vmap(torch.mm)(x, w),
    (3, 16, 8),
    args=lambda: rand(3, 4, 16),
    macs=3 * 4 * 16 * 8,
    training=2 * 3 * 4 * 16 * 8,
    why="three products; +dW",
)
fn(
    "grad",
    lambda x, w: grad(lambda rows: (rows @ w).pow(2).sum())(x),
    args=lambda: (rand(4, 16), rand(16, 16)),
    macs=2 * LINEAR,
    training=2 * LINEAR,
    why="the product and its dX",
)
fn(
    "vjp",
    lambda x, w: vjp(lambda rows: rows @ w, x)[1](x)[0],
    args=lambda: (rand(4, 16), rand(16, 16)),
    macs=2 * LINEAR,
    training=2 * LINEAR,
    why="the product and its dX",
)
fn(
    "jvp",
    lambda x, w: jvp(torch.mm, (x, w), (x, w))[1],
    args=lambda: (rand(4, 16), rand(16, 16)),
    macs=3 * LINEAR,
    training=3 * LINEAR,
    why="the product, and one more for the tangent of each side",
)
fn(
    "jacrev",
    lambda x, w: jacrev(lambda row: row @ w)(x),
    args=lambda: (rand(16), rand(16, 8)),
    macs=16 * 8 + 8 * 16 * 8,
    training=16 * 8 + 8 * 16 * 8,
    why="one product and eight pullbacks",
)


class Called(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        doubled = {name: 2 * value for name, value in self.linear.named_parameters()}
        return functional_call(self.linear, doubled, (x,))


@transforms.case(lambda: rand(4, 16), macs=LINEAR, params=PARAMS, training=2 * LINEAR, why="other weights, same work")
def functional_call_with_other_weights() -> nn.Module:
    return Called()


class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, buffers = stack_module_state(list(self.members))
        return vmap(lambda w, b: functional_call(self.members[0], (w, b), (x,)))(weights, buffers).detach()


@transforms.case(
    lambda: rand(4, 16), macs=3 * LINEAR, params=3 * PARAMS, training=3 * LINEAR, why="three members at once, detached"
)
def ensemble() -> nn.Module:
    return Ensemble()
