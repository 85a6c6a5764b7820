"""Whose MACs they are: the module tree by qualified names, and the operator table, derived by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pytest_modelbudget import outline
from pytest_modelbudget.counting import force_real_run, measure
from pytest_modelbudget.measurement import Measurement, ModuleCost

X = torch.ones(3, 4)
ONE = 3 * 4 * 4  # rows x 4 x 4 of one nn.Linear(4, 4)


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4, bias=False)


def both(model: nn.Module, *args: Any, **options: Any) -> Measurement:
    """Measure by shapes and for real, and check that tree and tables are equal and add up."""
    found = measure(model, args or X, **options)
    with force_real_run():
        real = measure(model, args or X, **options)
    assert found.run == "shape"
    assert (found.modules, found.operators) == (real.modules, real.operators)
    nodes = list(found.modules.walk())
    for metric in ("params", "trainable_params", "macs", "flops", "weight_bytes"):
        assert sum(getattr(node.own, metric) for node in nodes) == getattr(found, metric)
        for node in nodes:
            below = sum(getattr(child.total, metric) for child in node.children)
            assert getattr(node.total, metric) == getattr(node.own, metric) + below
    assert sum(cost.macs for cost in found.operators) == found.macs
    return found


def by_name(found: Measurement) -> dict[str, ModuleCost]:
    return {node.name: node for node in found.modules.walk()}


def test_own_and_total_of_nested_modules() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 2))
    tree = by_name(both(model))
    assert list(tree) == ["", "0", "0.0", "0.1", "1"]
    assert [node.own.macs for node in tree.values()] == [0, 0, 3 * 4 * 8, 0, 3 * 8 * 2]
    assert [node.total.macs for node in tree.values()] == [3 * 48, 3 * 32, 3 * 32, 0, 3 * 16]
    assert [node.total.params for node in tree.values()] == [40 + 18, 40, 40, 0, 18]
    assert [node.total.weight_bytes for node in tree.values()] == [4 * 58, 4 * 40, 4 * 40, 0, 4 * 18]
    assert [node.cls for node in tree.values()] == ["Sequential", "Sequential", "Linear", "ReLU", "Linear"]


def test_a_module_called_twice_has_both_calls() -> None:
    class Twice(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(self.a(x)))

    tree = by_name(both(Twice()))
    assert (tree["a"].calls, tree["a"].own.macs) == (2, 2 * ONE)
    assert (tree["b"].calls, tree["b"].own.macs) == (1, ONE)


def test_an_alias_is_shown_once_with_both_names() -> None:
    class Aliased(Parts):
        def __init__(self) -> None:
            super().__init__()
            self.again = self.a
            self.deeper = nn.Sequential(self.a)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.deeper(self.again(x))

    found = both(Aliased())
    tree = by_name(found)
    assert tree["a"].aliases == ("again", "deeper.0")
    assert (tree["a"].calls, tree["a"].own.macs, tree["a"].own.params) == (2, 2 * ONE, 20)
    assert (tree["deeper"].total.macs, tree["deeper"].calls) == (0, 1)
    assert found.params == 20 + 16


def test_functional_operators_belong_to_the_innermost_running_module() -> None:
    class Inner(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.a.weight) @ self.b.weight

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) @ self.inner.b.weight

    tree = by_name(both(Outer()))
    assert (tree[""].own.macs, tree["inner"].own.macs, tree["inner.a"].own.macs) == (ONE, 2 * ONE, 0)


def test_a_forward_called_directly_belongs_to_its_caller() -> None:
    class Direct(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a.forward(self.b(x))

    tree = by_name(both(Direct()))
    assert (tree[""].own.macs, tree["a"].own.macs, tree["b"].own.macs) == (ONE, 0, ONE)
    assert tree["a"].calls == 0


def test_what_a_hook_computes_belongs_to_the_hooked_module() -> None:
    class Hooked(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x))

    model = Hooked()
    model.a.register_forward_pre_hook(lambda module, args: (args[0] @ torch.ones(4, 4),))
    model.a.register_forward_hook(lambda module, args, out: out @ torch.ones(4, 4))
    tree = by_name(both(model))
    assert (tree[""].own.macs, tree["a"].own.macs, tree["b"].own.macs) == (0, 3 * ONE, ONE)


def test_tied_weights_belong_to_the_first_that_holds_them() -> None:
    class Tied(Parts):
        def __init__(self) -> None:
            super().__init__()
            self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x))

    found = both(Tied())
    assert (found.params, found.weight_bytes, found.macs) == (20, 80, 2 * ONE)
    assert [node.own.params for node in found.modules.walk()] == [0, 20, 0]


def test_weight_bytes_are_those_of_distinct_parameters_and_buffers_at_their_own_dtypes() -> None:
    class Mixed(Parts):
        def __init__(self) -> None:
            super().__init__()
            self.b.half()
            self.register_buffer("table", torch.zeros(5, dtype=torch.int64))
            self.register_buffer("same", self.table)
            self.a.bias.requires_grad_(False)

    found = measure(Mixed())
    assert (found.params, found.trainable_params, found.run) == (36, 32, None)
    assert found.weight_bytes == 20 * 4 + 16 * 2 + 5 * 8
    assert (found.macs, found.flops, found.complete) == (None, None, True)


def test_a_module_that_is_not_registered_counts_where_it_runs() -> None:
    class Hidden(Parts):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(4, 4)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.hidden[0](self.a(x))

    tree = by_name(both(Hidden()))
    assert (tree[""].own.macs, tree["a"].own.macs) == (ONE, ONE)


def test_the_shapes_of_what_modules_return() -> None:
    class Several(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, object]:
            return {"out": x.sum(), "parts": [x, (x[:1], "text")]}

    found = both(nn.Sequential(nn.Linear(4, 4), Several()))
    assert [node.outputs for node in by_name(found).values()] == [((), (3, 4), (1, 4)), ((3, 4),), ((), (3, 4), (1, 4))]
    shown = [line.split(")")[1].strip().split("  ")[0] for line in found.tree(outputs=True).splitlines()[1:]]
    assert shown == ["scalar, 3x4, 1x4", "3x4", "scalar, 3x4, 1x4"]


def test_the_shapes_are_those_of_the_first_call_that_returned() -> None:
    class Picky(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 1:
                raise ValueError("one row, please")
            return x

    class Patient(Parts):
        def __init__(self) -> None:
            super().__init__()
            self.picky = Picky()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return self.picky(x)
            except ValueError:
                return self.picky(self.a(x)[:1])

    assert by_name(both(Patient()))["picky"].outputs == ((1, 4),)


def test_digits_on_request_and_operators_in_short() -> None:
    found = measure(nn.Sequential(*[nn.Linear(1000, 1000) for _ in range(30)]), torch.zeros(1, 1000), name="net")
    assert found.tree().splitlines()[1:] == [
        "net (Sequential)      30.03 M  30.00 M       100%",
        "  0-29 (Linear) x30   30.03 M  30.00 M       100%",
    ]
    assert "30,030,000  30,000,000" in found.tree(exact=True)
    assert found.table().splitlines()[1].split() == ["aten::addmm", "*", "x30", "30", "30.00", "M", "100%"]
    assert str(found) == f"{found.headline()}\n{found.tree()}"


def test_a_flat_model_shows_its_heaviest_modules() -> None:
    layers = {f"layer_{'abcdefgh'[place % 8]}{'x' * place}": nn.Linear(4, place + 1) for place in range(60)}

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, layer in layers.items():
                self.add_module(name, layer)

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [layer(x) for layer in self.children()]

    lines = measure(Wide(), X).tree().splitlines()
    assert len(lines) == 1 + 40 + 1
    # The 21 lightest have 1 to 21 outputs, of 1 + ... + 60 = 1830: 231 / 1830.
    assert lines[-1] == "+ 21 more modules with 12.6%"


def test_siblings_that_cost_nearly_the_same_are_one_line() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(
                nn.Sequential(nn.Linear(100, width), nn.Linear(width, 100)) for width in (50, 51, 52)
            )

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [expert(x) for expert in self.experts]

    found = measure(Experts(), torch.zeros(1, 100), name="net")
    whole = 2 * 100 * (50 + 51 + 52)
    assert found.macs == whole
    assert [line.split() for line in found.tree(exact=True).splitlines()[3:]] == [
        ["0-2", "(Sequential)", "x3", "31,053", "30,600", "100%"],
        ["0-1", "(Linear)", "x6", "31,053", "30,600", "100%"],
    ]
    assert ["1", "(Sequential)", "10,351", "10,200", "33.3%"] in map(str.split, found.tree(3, exact=True).splitlines())


def test_a_tree_opens_by_the_metric_that_is_asked_for() -> None:
    class Texts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.ModuleList([nn.Embedding(1000, 8)])
            self.layers = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(self.words[0](x))

    root = measure(Texts(), torch.zeros(1, 4, dtype=torch.long)).modules
    by_params = outline.tree(root, "net", lines=6, metric="params")
    assert by_params[0].split()[-2:] == ["of", "params"]
    assert [line.split()[0] for line in by_params[1:-1]] == ["net", "words", "0", "layers"]
    by_macs = outline.tree(root, "net", lines=6)
    assert by_macs[0].split()[-2:] == ["of", "MACs"]
    assert [line.split()[0] for line in by_macs[1:-1]] == ["net", "words", "layers", "0", "1", "2"]


def test_a_notebook_shows_the_folded_tree_as_a_table_without_scripts() -> None:
    class Hostile(nn.Sequential):
        pass

    Hostile.__name__ = "<script>alert(1)</script>"
    html = measure(Hostile(*[nn.Linear(4, 4) for _ in range(500)]), X)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    cells = [cell.partition(">")[2] for cell in html.split("<tr>")[-1].split("<td")[1:]]
    assert cells[:4] == ["0-499 (Linear) x500", "10.00 K", "24.00 K", "100%"]
    assert "width:100%" in cells[4]
    assert len(html) < 1500


def test_the_operator_table() -> None:
    class Products(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) @ torch.ones(4, 2)

    found = both(Products())
    assert [(cost.name, cost.module, cost.calls, cost.macs) for cost in found.operators] == [
        ("aten::mm", "", 1, 3 * 4 * 2),
        ("aten::addmm", "a", 1, ONE),
    ]
    assert found.table().splitlines()[1].split() == ["aten::addmm", "a", "1", "48", "66.7%"]


def test_the_backward_belongs_to_the_modules_whose_gradients_it_computes() -> None:
    class Chain(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x)) @ torch.ones(4, 4)

    found = both(Chain(), backward=True)
    tree = by_name(found)
    assert tree["a"].own.training_macs == ONE + ONE  # forward, dW; the input needs no gradient
    assert tree["b"].own.training_macs == ONE + 2 * ONE  # forward, dW, dX
    assert tree[""].own.training_macs == ONE + ONE  # forward, dX; the factor is a constant
    assert found.training_macs == found.modules.total.training_macs == 7 * ONE
    assert found.macs == 3 * ONE


@pytest.mark.parametrize("reentrant", [True, False])
def test_work_that_checkpoint_repeats_belongs_to_the_module_that_repeats_it(reentrant: bool) -> None:
    class Checkpointed(Parts):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.b, self.a(x), use_reentrant=reentrant)

    found = both(Checkpointed(), backward=True)
    tree = by_name(found)
    assert tree["a"].own.training_macs == 2 * ONE
    again = ONE if reentrant else 0  # the other kind stops where all that the backward needs is there again
    assert tree["b"].own.training_macs == 3 * ONE + again


def test_tree_as_text() -> None:
    found = measure(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), X, name="small")
    assert found.tree().splitlines() == [
        "module                params    MACs    of MACs",
        "small (Sequential)        20      48       100%",
        "  0 (Linear)              20      48       100%",
        "  1 (ReLU)                 0       0",
    ]
    assert found.tree(depth=0).splitlines() == [*found.tree().splitlines()[:2], "+ 2 more modules further below"]
