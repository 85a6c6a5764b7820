"""Folding: equal siblings become one, and nothing is lost."""

from __future__ import annotations

import msgspec
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pytest_modelbudget import measure
from pytest_modelbudget.folding import FoldedModule
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost
from pytest_modelbudget.results.folding import FoldedMeasurement, fold, unfold

Tree = list["Tree"]


def through_json(measurement: Measurement) -> Measurement:
    return unfold(msgspec.json.decode(msgspec.json.encode(fold(measurement)), type=FoldedMeasurement))


def count(folded: FoldedModule) -> int:
    return 1 + sum(map(count, folded.children))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, width), nn.Linear(width, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.up(x).relu())


def test_equal_layers_are_one() -> None:
    measured = measure(lambda: nn.Sequential(*[Block(16) for _ in range(80)]), input_size=(1, 8))
    folded = fold(measured)
    (layers,) = folded.modules.children
    assert (layers.keys, layers.at) == (tuple(map(str, range(80))), ())
    assert count(folded.modules) == 4  # the model, a block, and its two layers
    assert through_json(measured) == measured


def test_alternating_layers_keep_their_places() -> None:
    measured = measure(lambda: nn.Sequential(*[Block(16 + i % 2) for i in range(6)], nn.Flatten()), input_size=(1, 8))
    even, odd, last = fold(measured).modules.children
    assert (even.keys, even.at, odd.keys, odd.at) == (("0", "2", "4"), (0, 2, 4), ("1", "3", "5"), (1, 3, 5))
    assert (last.keys, last.at) == (("6",), ())
    assert through_json(measured) == measured


def test_training_aliases_and_unknown_operators_survive() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.again = self.first
            self.blocks = nn.ModuleList(Block(16) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(self.again(self.first(x)))
            return x @ x.T

    measured = measure(Tied, input_size=(2, 8), backward=True, flops_per_mac=1)
    assert measured.modules.children[0].aliases == ("again",)
    unknown = tuple(OperatorCost("ns::op", name, 2, 0) for name in ("", "blocks.0", "blocks.1", "blocks.1"))
    measured = msgspec.structs.replace(measured, unknown=unknown)
    assert through_json(measured) == measured


def test_weights_alone() -> None:
    measured = measure(lambda: nn.Sequential(Block(16), Block(16)))
    assert measured.macs is None
    assert through_json(measured) == measured


trees = st.recursive(
    st.tuples(st.sampled_from("AB"), st.integers(0, 2)),
    lambda inner: st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.lists(inner, max_size=6)),
    max_leaves=30,
)


def module(tree: tuple[object, ...], name: str, operators: list[OperatorCost]) -> ModuleCost:
    cls, params, *children = tree
    own = Costs(params, 0, 5 * params, 10 * params)  # type: ignore[arg-type, operator]
    if params:
        operators.append(OperatorCost("aten::mm", name, 1, own.macs or 0))
    prefix = f"{name}." if name else ""
    below = tuple(
        module(child, f"{prefix}{index}", operators)
        for index, child in enumerate(children[0] if children else ())  # type: ignore[arg-type, var-annotated]
    )
    parts = [own, *(child.total for child in below)]
    total = Costs(*(sum(column) for column in zip(*((p.params, 0, p.macs, p.flops) for p in parts), strict=True)))  # type: ignore[arg-type]
    return ModuleCost(name, str(cls), 1, own, total, (), below)


@given(trees)
def test_every_tree_survives(tree: tuple[object, ...]) -> None:
    operators: list[OperatorCost] = []
    root = module(tree, "", operators)
    total = root.total
    measured = Measurement(
        "net", total.params, 0, 0, root, total.macs, total.flops, operators=tuple(operators), run="shape", named=True
    )
    assert through_json(measured) == measured
