"""Models that are no longer plain Python: compiled, scripted, traced, FX graphs, exported programs."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, ints, rand

cases = Family("graph")

MACS = 2 * 36 * 4 * 27 + 2 * 144 * 5
PARAMS = 4 * 27 + 4 + 144 * 5 + 5
TRAINING = 2 * (2 * 36 * 4 * 27) + 3 * 2 * 144 * 5
WHY = "convolution with dW, linear with dW, dX"
SCRIPTED = {"meta": "a script keeps its own constants on its device"}
SCRIPT = "TorchScript runs in C++ on real data"
EXPORTED: dict[str, Any] = {
    "varies": {"mode": "an exported program has the mode in which it was exported"},
    "build_needs_values": "export traces the model its own way",
}


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


def image() -> torch.Tensor:
    return rand(2, 3, 8, 8)


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY)
def compiled() -> Any:
    return torch.compile(small(), backend="eager")


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY)
def compiled_whole_graph() -> Any:
    return torch.compile(small(), backend="eager", fullgraph=True)


class PartlyCompiled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.compile(small(), backend="eager")
        self.head = torch.compile(nn.Linear(5, 3), backend="eager")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.softmax(self.head(self.inner(x)), -1)


@cases.case(
    image,
    macs=MACS + 2 * 5 * 3,
    params=PARAMS + 5 * 3 + 3,
    training=TRAINING + 3 * 2 * 5 * 3,
    why="two compiled parts of one model",
)
def partly_compiled() -> nn.Module:
    return PartlyCompiled()


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY)
def compiled_in_place() -> nn.Module:
    model = small()
    model.compile(backend="eager")
    return model


@torch.compile(backend="eager")
def compiled_step(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return (x @ w).relu()


cases.expression(
    "compiled_function",
    compiled_step,
    (16, 8),
    args=lambda: rand(4, 16),
    macs=4 * 16 * 8,
    training=2 * 4 * 16 * 8,
    why="n*k*m; +dW",
)


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY, varies=SCRIPTED, needs_values=SCRIPT)
def scripted() -> nn.Module:
    return torch.jit.script(small())


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY, varies=SCRIPTED, needs_values=SCRIPT)
def traced() -> nn.Module:
    return torch.jit.trace(small(), torch.randn(2, 3, 8, 8))


@cases.case(
    image,
    macs=MACS + 2 * 5 * 3,
    params=PARAMS + 5 * 3 + 3,
    training=TRAINING + 3 * 2 * 5 * 3,
    why="a scripted backbone under a plain head",
    varies=SCRIPTED,
    needs_values=SCRIPT,
)
def scripted_part() -> nn.Module:
    return nn.Sequential(torch.jit.script(small()), nn.Linear(5, 3))


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor, times: int) -> torch.Tensor:
        for _ in range(times):
            x = self.layer(x)
        return x


@cases.case(
    lambda: (rand(4, 16), 3),
    macs=3 * 4 * 16 * 16,
    params=16 * 16 + 16,
    training=(2 + 3 + 3) * 4 * 16 * 16,
    why="the loop runs three times, the script's graph has it once",
    varies=SCRIPTED,
    needs_values=SCRIPT,
)
def scripted_loop() -> nn.Module:
    return torch.jit.script(Loop())


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY)
def symbolically_traced() -> nn.Module:
    return torch.fx.symbolic_trace(small())


@cases.case(image, macs=MACS, params=PARAMS, training=TRAINING, why=WHY, **EXPORTED)
def exported() -> nn.Module:
    return torch.export.export(small(), (torch.randn(2, 3, 8, 8),)).module()


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        return self.attention(x, x, x, need_weights=False)[0]


@cases.case(
    lambda: ints(2, 5, high=10),
    macs=10 * 16 * 48 + 2 * 2 * 5 * 5 * 16 + 10 * 16 * 16,
    params=160 + 16 * 48 + 48 + 16 * 16 + 16,
    training=3 * 10 * 16 * 48 + 6 * 2 * 5 * 5 * 16 + 3 * 10 * 16 * 16,
    why="packed projection, attention, output projection; the embedding is trainable",
    **EXPORTED,
)
def exported_attention() -> nn.Module:
    return torch.export.export(Encoder(), (torch.zeros(2, 5, dtype=torch.long),)).module()


class Choice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cheap, self.dear = nn.Linear(16, 8), nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 8))

    def forward(self, x: torch.Tensor, dear: torch.Tensor) -> torch.Tensor:
        return torch.cond(dear, self.dear, self.cheap, (x,))


COND = {"meta": "the predicate has no value on meta"}


@cases.case(
    lambda: (rand(4, 16), torch.tensor(True)),
    macs=4 * (16 * 32 + 32 * 8),
    params=16 * 8 + 8 + 16 * 32 + 32 + 32 * 8 + 8,
    training=4 * (2 * 16 * 32 + 3 * 32 * 8),
    why="the branch that is taken",
    varies=COND,
)
def cond_true() -> nn.Module:
    return Choice()


@cases.case(
    lambda: (rand(4, 16), torch.tensor(False)),
    macs=4 * 16 * 8,
    params=16 * 8 + 8 + 16 * 32 + 32 + 32 * 8 + 8,
    training=2 * 4 * 16 * 8,
    why="the branch that is taken",
    varies=COND,
)
def cond_false() -> nn.Module:
    return Choice()
