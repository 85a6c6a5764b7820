"""Scripted, traced and exported models run the operators of their parts in one graph: each counts for its part."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.export import export

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.counting import observe

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's exporters
PARTS = ("", "encoder", "encoder.query", "encoder.key", "head", "tail")


class Encoder(nn.Module):
    """2 * 5 rows of Linear(8, 8), twice: 640 MACs each; two products of (5, 8) and (8, 5) or (5, 5) and (5, 8): 800."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.query(x) @ self.key(x).transpose(-1, -2)).softmax(-1) @ x


class Net(nn.Module):
    """Linear(8, 4) on 2 * 5 rows: 320 MACs; Conv1d(4, 4, 3): 2 * 3 * 4 positions of 12: 288; 2688 in all."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head, self.tail = Encoder(), nn.Linear(8, 4), nn.Conv1d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.head(self.encoder(x)).transpose(-1, -2))


class Tied(nn.Module):
    """Its own forward multiplies with the weight of a part: 5 * 8 * 10 MACs of the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = nn.Embedding(10, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.layer(self.embedding(x)), self.embedding.weight)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, self.a, self.b, (x,))


def x() -> torch.Tensor:
    return torch.ones(2, 5, 8)


def loaded() -> nn.Module:
    stream = io.BytesIO()
    torch.export.save(export(Net(), (x(),)), stream)
    stream.seek(0)
    return torch.export.load(stream).module()


def own(found: Measurement, metric: str = "macs") -> dict[str, int | None]:
    """Return what each module costs by itself, where that is anything."""
    costs = {one.name: getattr(one.own, metric) for one in found.modules.walk()}
    return {name: cost for name, cost in costs.items() if cost}


WHOLE = {"encoder": 800, "encoder.query": 640, "encoder.key": 640, "head": 320, "tail": 288}
# The input needs no gradient, so the products of the encoder cost one more of 400 for each, and (query, key) one of 640.
TRAINED = {"encoder": 2000, "encoder.query": 1280, "encoder.key": 1280, "head": 960, "tail": 864}


@pytest.mark.parametrize(
    "build",
    [
        Net,
        lambda: export(Net(), (x(),)).module(),
        lambda: export(Net(), (x(),)).run_decompositions().module(),
        lambda: torch.export.unflatten(export(Net(), (x(),))),
        loaded,
        lambda: torch.fx.symbolic_trace(Net()),
    ],
    ids=["eager", "exported", "decomposed", "unflattened", "loaded", "symbolic"],
)
def test_an_exported_graph_tells_the_part_of_every_operator(build: Callable[[], nn.Module]) -> None:
    found, trained = measure(build(), x()), measure(build(), x(), backward=True)
    assert (own(found), found.unplaced) == (WHOLE, ())
    assert own(trained, "training_macs") == TRAINED
    model = build()
    with observe() as observed:
        model(x())
    assert own(observed.measurements[0]) == WHOLE


@pytest.mark.parametrize(
    "build", [lambda: torch.jit.script(Net()), lambda: torch.jit.trace(Net(), x())], ids=["scripted", "traced"]
)
def test_a_scripted_graph_tells_the_owners_of_weights(build: Callable[[], nn.Module]) -> None:
    found, trained = measure(build(), x()), measure(build(), x(), backward=True)
    of_the_graph = {("" if name == "encoder" else name): macs for name, macs in WHOLE.items()}
    assert own(found) == of_the_graph
    assert own(trained, "training_macs") == {("" if name == "encoder" else name): n for name, n in TRAINED.items()}
    assert [(one.name, one.module, one.macs) for one in found.unplaced] == [("aten::bmm", "", 800)]


@pytest.mark.parametrize("traced", [False, True])
def test_nothing_tells_the_part_of_a_weight_that_two_share(traced: bool) -> None:
    """linear(2 * 5 rows of 8, 8 x 8), twice with one weight: 640 MACs each, and nobody knows whose."""
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    model[1].weight = model[0].weight
    found = measure(torch.jit.trace(model, x()) if traced else torch.jit.script(model), x())
    assert own(found) == {"": 1280}
    assert sum(one.macs for one in found.unplaced) == 1280


def test_a_graph_inside_a_model_and_one_without_parts() -> None:
    class Outer(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.out = inner, nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.inner(x))

    exported = measure(Outer(export(Net(), (x(),)).module()), x())
    assert own(exported) == {**{f"inner.{name}": macs for name, macs in WHOLE.items()}, "out": 48}
    scripted = measure(Outer(torch.jit.script(Net())), x())
    assert [(one.module, one.macs) for one in scripted.unplaced] == [("inner", 800)]
    frozen = measure(Outer(torch.jit.freeze(torch.jit.script(Net().eval()))), x())
    assert (own(frozen), frozen.unplaced) == ({"inner": 2688, "out": 48}, ())


@pytest.mark.parametrize("exported", [False, True])
def test_what_the_model_itself_does_with_the_weight_of_a_part_is_its_own(exported: bool) -> None:
    ids = torch.zeros(5, dtype=torch.long)
    model = export(Tied(), (ids,)).module() if exported else Tied()
    assert own(measure(model, ids)) == {"": 400, "layer": 320}


def test_a_branch_of_an_exported_graph_belongs_to_the_part_whose_weight_it_takes() -> None:
    assert own(measure(export(Branches(), (x(),)).module(), x())) == {"a": 640}
