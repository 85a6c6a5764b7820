"""Control flow that depends on data, and mixtures of experts. The values are chosen so that the path is known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, ints, rand

cases = Family("control")

META = {"meta": "the path depends on values"}
BRANCH = "forward branches on the values of activations"


class EarlyExit(nn.Module):
    """Halves its input until the largest value is below 0.1: 1, 0.5, 0.25, 0.125, 0.0625 are four steps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.5 * torch.eye(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.max() >= 0.1:
            x = x @ self.weight
        return x


@cases.case(
    lambda: torch.ones(4, 16),
    macs=4 * 4 * 16 * 16,
    params=16 * 16,
    training=(2 + 3 + 3 + 3) * 4 * 16 * 16,
    why="four steps; the first without dX",
    varies=META,
    needs_values=BRANCH,
)
def loop_until_small() -> nn.Module:
    return EarlyExit()


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(16, 4), nn.Linear(16, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.large(x) if x.sum().item() > 0 else self.small(x)


for sign, width in ((1, 32), (-1, 4)):
    cases.case(
        lambda sign=sign: sign * torch.ones(4, 16),
        name=f"branch_to_{width}",
        macs=4 * 16 * width,
        params=16 * 4 + 4 + 16 * 32 + 32,
        training=2 * 4 * 16 * width,
        why="the branch that is taken; +dW",
        varies=META,
        needs_values=BRANCH,
    )(Branch)


class Selected(nn.Module):
    """Multiplies only the rows whose first value is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x[x[:, 0] > 0])


@cases.case(
    lambda: torch.tensor([1.0, -1, 1, -1, 1]).unsqueeze(1).expand(5, 16),
    macs=3 * 16 * 8,
    params=16 * 8 + 8,
    training=2 * 3 * 16 * 8,
    why="three of five rows are positive",
    varies=META,
    needs_values="a boolean index of activations decides the shape",
)
def selected_rows() -> nn.Module:
    return Selected()


class SelectedByMask(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.linear = nn.Embedding(10, 16), nn.Linear(16, 8)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.linear(self.embedding(ids)[ids != 0])


@cases.case(
    lambda: torch.tensor([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]]),
    macs=4 * 16 * 8,
    params=10 * 16 + 16 * 8 + 8,
    training=3 * 4 * 16 * 8,
    why="four tokens are not padding; the mask comes from integer inputs, which a shape run knows",
    varies=META,
)
def tokens_without_padding() -> nn.Module:
    return SelectedByMask()


class DenseExperts(nn.Module):
    """Every expert sees every token; the router weighs their outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(16, 3, bias=False)
        self.experts = nn.Parameter(torch.randn(3, 16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = F.softmax(self.router(x), -1)
        return (torch.matmul(x, self.experts) * weights.t().unsqueeze(-1)).sum(0)


@cases.case(
    lambda: rand(6, 16),
    macs=6 * 16 * 3 + 3 * 6 * 16 * 8,
    params=16 * 3 + 3 * 16 * 8,
    training=2 * (6 * 16 * 3 + 3 * 6 * 16 * 8),
    why="router and all three experts, with dW",
)
def dense_experts() -> nn.Module:
    return DenseExperts()


class SparseExperts(nn.Module):
    """Each token goes to ``top`` of 4 experts, found with where: the sum over experts is known, the shares are not."""

    def __init__(self, top: int) -> None:
        super().__init__()
        self.top = top
        self.router = nn.Linear(16, 4, bias=False)
        self.experts = nn.ModuleList([nn.Linear(16, 16, bias=False) for _ in range(4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, chosen = F.softmax(self.router(x), -1).topk(self.top, -1)
        result = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows, places = torch.where(chosen == index)
            result.index_add_(0, rows, expert(x[rows]) * weights[rows, places].unsqueeze(1))
        return result


for top in (1, 2):
    cases.case(
        lambda: rand(6, 16),
        name=f"experts_top_{top}",
        macs=6 * 16 * 4 + 6 * top * 16 * 16,
        params=16 * 4 + 4 * 16 * 16,
        training=2 * 6 * 16 * 4 + 2 * 6 * top * 16 * 16,
        why="router; each token through so many experts, whichever they are; +dW",
        varies=META,
        needs_values="routing decides the shapes",
    )(lambda top=top: SparseExperts(top))


class RoutedByInput(nn.Module):
    """The caller says which expert each token takes."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(16, width) for width in (4, 8, 32)])

    def forward(self, x: torch.Tensor, route: torch.Tensor) -> list[torch.Tensor]:
        return [expert(x[route == index]) for index, expert in enumerate(self.experts)]


@cases.case(
    lambda: (rand(6, 16), torch.tensor([0, 2, 2, 1, 2, 0])),
    macs=2 * 16 * 4 + 1 * 16 * 8 + 3 * 16 * 32,
    params=16 * (4 + 8 + 32) + 44,
    training=2 * (2 * 16 * 4 + 1 * 16 * 8 + 3 * 16 * 32),
    why="two, one and three tokens; integer inputs keep their values in a shape run",
    varies=META,
)
def routed_by_input() -> nn.Module:
    return RoutedByInput()


class ByLength(nn.Module):
    """Runs each sequence alone, up to its length."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        return [self.linear(row[:length]) for row, length in zip(x, lengths.tolist(), strict=True)]


@cases.case(
    lambda: (rand(3, 7, 16), torch.tensor([7, 2, 4])),
    macs=(7 + 2 + 4) * 16 * 8,
    params=16 * 8 + 8,
    training=2 * (7 + 2 + 4) * 16 * 8,
    why="7+2+4 rows",
    varies=META,
)
def sequences_by_length() -> nn.Module:
    return ByLength()


class ModeBranch(nn.Module):
    """Has an auxiliary head that only training uses, as Inception does."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.auxiliary = nn.Linear(16, 8), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.head(x), self.auxiliary(x)] if self.training else [self.head(x)]


@cases.case(
    lambda: rand(4, 16),
    macs=4 * 16 * (8 + 4),
    params=16 * 8 + 8 + 16 * 4 + 4,
    training=2 * 4 * 16 * (8 + 4),
    why="both heads in training mode",
    varies={"mode": "forward branches on the mode"},
)
def auxiliary_head() -> nn.Module:
    return ModeBranch()


class ShapeBranch(nn.Module):
    """Decides by shapes, dtypes and devices, which a shape run knows."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 2 and x.is_floating_point() and x.device == ids.device:
            x = self.linear(x)
        for _ in range(int(x.size(0) // 2)):
            x = self.linear(x)
        return x


@cases.case(
    lambda: (rand(4, 16), ints(4, high=3)),
    macs=3 * 4 * 16 * 16,
    params=16 * 16 + 16,
    training=(2 + 3 + 3) * 4 * 16 * 16,
    why="once for the branch, twice for the loop",
)
def branch_on_shape() -> nn.Module:
    return ShapeBranch()


class Failing(nn.Module):
    """Tries, fails with a shape error, recovers: what ran before the failure counts."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x)
        try:
            return self.linear(x)
        except RuntimeError:
            return x.relu()


@cases.case(
    lambda: rand(4, 16),
    macs=4 * 16 * 8,
    params=16 * 8 + 8,
    training=2 * 4 * 16 * 8,
    why="the failing product never ran",
    varies={"meta": "an operator that fails on shapes alone may be the fault of the shapes: that needs a real run"},
    needs_values="an operator failed: only a real run shows that the model fails alike",
)
def recovers_from_an_error() -> nn.Module:
    return Failing()
