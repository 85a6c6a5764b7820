"""How modules run: shared, aliased, wrapped, hooked, called by their forward, made in forward, with state."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, rand

cases = Family("structure")

LINEAR = 4 * 16 * 16  # four rows through Linear(16, 16)
PARAMS = 16 * 16 + 16


class Repeated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = self.layer(x).tanh()
        return x


@cases.case(
    lambda: rand(4, 16),
    macs=3 * LINEAR,
    params=PARAMS,
    training=(2 + 3 + 3) * LINEAR,
    why="three calls, one set of params",
)
def called_three_times() -> nn.Module:
    return Repeated()


class Aliased(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.again = self.first
        self.listed = nn.ModuleList([self.first, nn.Linear(16, 16)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.listed[1](self.again(self.first(x)))


@cases.case(
    lambda: rand(4, 16), macs=3 * LINEAR, params=2 * PARAMS, training=(2 + 3 + 3) * LINEAR, why="one layer, three names"
)
def aliased() -> nn.Module:
    return Aliased()


class ForwardDirectly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.conv = nn.Conv1d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv.forward(self.layer.forward(x).unsqueeze(1))


@cases.case(
    lambda: rand(4, 16),
    macs=LINEAR + 4 * 14 * 2 * 3,
    params=PARAMS + 2 * 3 + 2,
    training=2 * LINEAR + 3 * 4 * 14 * 2 * 3,
    why="linear, then a convolution over its 16 outputs; no hook of theirs runs",
)
def forward_called_directly() -> nn.Module:
    return ForwardDirectly()


@cases.case(
    lambda: rand(4, 16),
    macs=2 * LINEAR,
    params=2 * PARAMS,
    training=5 * LINEAR,
    why="without devices it only passes on",
)
def data_parallel() -> nn.Module:
    return nn.DataParallel(nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16)))


class Wrapper(nn.Module):
    """Passes unknown attributes on to what it wraps, as many wrappers do."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


@cases.case(lambda: rand(4, 16), macs=LINEAR, params=PARAMS, training=2 * LINEAR, why="the wrapper adds nothing")
def wrapper() -> nn.Module:
    return Wrapper(Wrapper(nn.Linear(16, 16)))


class Temporary(nn.Module):
    """Makes its layer anew in every forward: its weights are never parameters of the model."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer = nn.Linear(16, 16, device=x.device)
        return layer(x).detach()


@cases.case(lambda: rand(4, 16), macs=LINEAR, training=LINEAR, why="counted, although no parameter is registered")
def module_made_in_forward() -> nn.Module:
    return Temporary()


def project(module: nn.Linear, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (args[0] @ module.weight,)


@cases.case(
    lambda: rand(4, 16), macs=2 * LINEAR, params=PARAMS, training=(2 + 3) * LINEAR, why="the hook multiplies too"
)
def pre_hook_that_computes() -> nn.Module:
    model = nn.Linear(16, 16)
    model.register_forward_pre_hook(project)
    return model


@cases.case(
    lambda: rand(4, 16),
    macs=3 * LINEAR,
    params=2 * PARAMS,
    training=(2 + 3 + 3) * LINEAR,
    why="the hook runs the head again",
)
def hook_that_computes() -> nn.Module:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16))
    model.register_forward_hook(lambda module, args, output: module[1](output))
    return model


class Counter(nn.Module):
    """Changes a Python attribute, a buffer and a cache at every call."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)
        self.calls = 0
        self.history: list[torch.Tensor] = []
        self.register_buffer("mean", torch.zeros(16))
        self.mask: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.mask is None:
            self.mask = torch.ones(16, 16, device=x.device).tril()[-1]
        x = self.linear(x * self.mask)
        self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        self.history.append(x.detach())
        return x - self.mean


@cases.case(lambda: rand(4, 16), macs=LINEAR, params=PARAMS, training=2 * LINEAR, why="state is element-wise")
def state_changed_in_forward() -> nn.Module:
    return Counter()


class KeyValueCache(nn.Module):
    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(16, 32)
        self.register_buffer("keys", torch.zeros(1, 9, 16), persistent=False)
        self.register_buffer("values", torch.zeros(1, 9, 16), persistent=False)

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        key, value = self.project(x).chunk(2, -1)
        self.keys[:, position] = key
        self.values.index_copy_(1, position, value)
        return F.scaled_dot_product_attention(x, self.keys, self.values)


@cases.case(
    lambda: (rand(1, 2, 16), torch.tensor([3, 4])),
    macs=2 * 16 * 32 + 2 * 2 * 9 * 16,
    params=16 * 32 + 32,
    why="two tokens projected; each attends to all 9 places of the cache",
)
def key_value_cache() -> nn.Module:
    return KeyValueCache()


def in_place(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y.t_().mul_(2).t_().squeeze_().unsqueeze_(0)
    y = y.squeeze_(0) @ w
    y[:, :4] += 1
    y[0].zero_()
    return y.transpose_(0, 1).relu_()


cases.expression(
    "metadata_changed_in_place",
    in_place,
    (16, 8),
    args=lambda: rand(4, 16),
    macs=4 * 16 * 8,
    training=2 * 4 * 16 * 8,
    why="shapes change in place on the way",
)


def resized(x: torch.Tensor) -> torch.Tensor:
    buffer = x.new_empty(2, 3)
    buffer.resize_(16, 8).fill_(1)
    result = x.new_empty(0)
    torch.matmul(x, buffer, out=result)
    return torch.add(result, 1, out=buffer.resize_(4, 8))


cases.expression("out_that_resizes", resized, args=lambda: rand(4, 16), macs=512, training=512, why="4*16*8")


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)), inplace=True))))


@cases.case(
    lambda: rand(2, 3, 8, 8),
    macs=2 * 64 * 8 * 27 + 4 * 2 * 64 * 8 * 72 + 2 * 8 * 10,
    params=8 * 27 + 8 + 4 * 8 * 72 + 4 * 16 + 8 * 10 + 10,
    training=2 * (2 * 64 * 8 * 27) + 3 * (4 * 2 * 64 * 8 * 72 + 2 * 8 * 10),
    why="stem with dW, two blocks of two convolutions and a head with dW, dX",
)
def residual_network() -> nn.Module:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Residual(8), Residual(8), *head)


@cases.case(
    lambda: rand(4, 16), macs=2 * LINEAR, params=2 * PARAMS, training=5 * LINEAR, why="an OrderedDict-like of layers"
)
def module_dict() -> nn.Module:
    return ByName()


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"b": nn.Linear(16, 16), "a": nn.Linear(16, 16)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers["a"](self.layers["b"](x))
