"""Models that look at the exact type of their tensors, at attributes of inputs, and at conjugate bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pytest_modelbudget.counting import measure
from pytest_modelbudget.counting.shape_run.composites import without_composites

from .model import Model, both, rows

ONE = 3 * 4 * 4  # one linear layer of 4 features to 4, on 3 rows


def plain(x: Any) -> bool:
    return type(x) is torch.Tensor


class Helper:
    def __init__(self) -> None:
        self.kinds = {torch.Tensor: True, int: False}

    def accepts(self, x: Any) -> bool:
        return self.kinds.get(type(x), False)


HELPER = Helper()
KINDS: dict[type, bool] = {torch.Tensor: True}


def stored(x: Any) -> bool:
    kind = type(x)
    return kind is torch.Tensor


def matched(x: Any) -> bool:
    match type(x):
        case torch.Tensor:
            return True
        case _:
            return False


CONDITIONS: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "is": lambda self, x: type(x) is torch.Tensor,
    "is not": lambda self, x: not (type(x) is not torch.Tensor),
    "equal": lambda self, x: type(x) == torch.Tensor,
    "swapped": lambda self, x: torch.Tensor is type(x),
    "in a tuple": lambda self, x: type(x) in (torch.Tensor, nn.Parameter),
    "dict": lambda self, x: {torch.Tensor: True}.get(type(x)),
    "global dict": lambda self, x: KINDS.get(type(x), False),
    "in a dict": lambda self, x: type(x) in KINDS,
    "subscript": lambda self, x: {torch.Tensor: True, nn.Parameter: False}[type(x)],
    "class": lambda self, x: x.__class__ is torch.Tensor,
    "class in a dict": lambda self, x: KINDS.get(x.__class__, False),
    "name": lambda self, x: type(x).__name__ == "Tensor",
    "name of the class": lambda self, x: x.__class__.__name__ == "Tensor",
    "text of the type": lambda self, x: str(type(x)) == "<class 'torch.Tensor'>",
    "legacy type": lambda self, x: x.type() == "torch.FloatTensor",
    "function": lambda self, x: plain(x),
    "stored": lambda self, x: stored(x),
    "matched": lambda self, x: matched(x),
    "helper": lambda self, x: HELPER.accepts(x),
    "own helper": lambda self, x: self.helper.accepts(x),
    "map": lambda self, x: list(map(type, (x,))) == [torch.Tensor],
    "two tensors": lambda self, x: type(x) is type(torch.arange(3)),
    "isinstance": lambda self, x: isinstance(x, torch.Tensor) and not isinstance(x, nn.Parameter),
    "weight is": lambda self, x: type(self.linear.weight) is nn.Parameter,
    "weight isinstance": lambda self, x: isinstance(self.linear.weight, nn.Parameter),
    "weight name": lambda self, x: type(self.linear.weight).__name__ == "Parameter",
    "class of a weight": lambda self, x: self.linear.weight.__class__.__name__ == "Parameter",
    "tag": lambda self, x: getattr(x, "tag", None) == "left",
}


class Asking(nn.Module):
    def __init__(self, condition: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.helper = Helper()
        self.condition = condition

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if self.condition(self, x) else x


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("given", ["instance", "lambda", "partial", "cpu"])
def test_a_forward_that_looks_at_types(condition: str, given: str) -> None:
    x = rows(3)
    x.tag = "left"  # type: ignore[attr-defined]
    build = partial(Asking, CONDITIONS[condition])
    model: Any = {"instance": build(), "lambda": lambda: Asking(CONDITIONS[condition]), "partial": build, "cpu": build}
    found = measure(model[given], x)
    assert found.macs == ONE
    if given != "lambda" and condition in ("isinstance", "class", "name of the class", "tag"):
        assert found.run == "shape"  # the lambda itself names the table of all conditions


def test_a_class_that_looks_at_types_itself() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def check(self, x: torch.Tensor) -> bool:
            return type(x) is torch.Tensor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) if self.check(x) else x

    for given in (Net, Net(), lambda: Net()):
        assert measure(given, rows(3)).macs == ONE


def test_a_constructor_that_looks_at_types() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            if type(self.linear.weight) is nn.Parameter:
                self.second = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.linear(x)) if hasattr(self, "second") else self.linear(x)

    for given in (Net, lambda: Net()):
        assert measure(given, rows(3)).macs == 2 * ONE


def test_code_that_asks_for_other_types_is_a_shape_run() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def other(self, x: torch.Tensor) -> bool:
            return type(x) is torch.Tensor  # forward never calls it

        def forward(self, x: Any) -> torch.Tensor:
            if type(x) in (tuple, list) or type(x) is dict or type(self).__name__ == "Other":
                x = type(x)(x)[0]
            if x.device.type == "cpu" and x.type(torch.float32).dtype is torch.float32:
                return self.linear(x)
            return x

    for given in (Net, Net()):
        found = measure(given, rows(3))
        assert (found.macs, found.run) == (ONE, "shape")


class Config:
    width = 4


REGISTRY = {Config: lambda config: nn.Linear(config.width, config.width)}


def test_a_factory_that_looks_up_the_type_of_a_configuration_is_a_shape_run() -> None:
    def factory() -> nn.Module:
        config = Config()
        assert type(config) in REGISTRY
        return REGISTRY[type(config)](config)

    assert (measure(factory, rows(3)).macs, measure(factory, rows(3)).run) == (ONE, "shape")


def test_the_factories_of_transformers_are_shape_runs() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=16
    )
    ids = torch.zeros(1, 4, dtype=torch.long)
    assert measure(lambda: transformers.AutoModel.from_config(config), ids).run == "shape"


# -- attributes of inputs, conjugate and negative bits -----------------------------------------------------------------


def test_attributes_of_an_input_travel_and_stay() -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        x.seen = True  # type: ignore[attr-defined]
        return self.linear(x[x.keep])  # type: ignore[attr-defined]

    x = rows(3)
    x.keep = torch.tensor([True, False, True])  # type: ignore[attr-defined]
    assert both(forward, x).macs == 2 * 4 * 4
    assert set(vars(x)) == {"keep"}


BITS: dict[str, Callable[[torch.Tensor], bool]] = {
    "conj": lambda z: z.conj().is_conj(),
    "twice": lambda z: not z.conj().conj().is_conj(),
    "function": lambda z: torch.is_conj(torch.conj(z)),
    "resolved": lambda z: not z.conj().resolve_conj().is_conj(),
    "cloned": lambda z: not z.conj().clone().is_conj(),
    "product": lambda z: not (z.conj() * 2).is_conj(),
    "transposed": lambda z: z.conj().t().is_conj(),
    "neg": lambda z: z.conj().imag.is_neg(),
    "no neg": lambda z: not z.imag.is_neg(),
    "neg resolved": lambda z: not z.conj().imag.resolve_neg().is_neg(),
    "set to": lambda z: z.is_set_to(z.view(z.shape)),
    "not set to": lambda z: not z.is_set_to(z.clone()),
}


@pytest.mark.parametrize("bit", BITS)
def test_bits_of_tensors(bit: str) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) if BITS[bit](torch.complex(x, x)) else x

    model = Model(forward)
    for given in (model, lambda: Model(forward)):
        assert measure(given, rows(3)).macs == ONE


def test_conjugates_cannot_be_viewed_as_real_whatever_was_measured_before() -> None:
    def forward(self: Model, x: torch.Tensor, conjugate: bool) -> torch.Tensor:
        z = torch.complex(x, x)
        return self.linear(torch.view_as_real(z.conj() if conjugate else z)[..., 0])

    assert measure(Model(forward), (rows(3), False)).macs == ONE
    with pytest.raises(RuntimeError, match="view_as_real"):
        measure(Model(forward), (rows(3), True))


def test_known_conjugates_have_a_key_of_their_own() -> None:
    table = torch.ones(3, 4, dtype=torch.complex64)

    def forward(self: Model, x: torch.Tensor, conjugate: bool) -> torch.Tensor:
        z = torch.complex(x, x) * (table.conj() if conjugate else table)
        return self.linear(torch.view_as_real(z)[..., 0])

    assert both(forward, rows(3), False).macs == ONE
    assert both(forward, rows(3), True).macs == ONE


@pytest.mark.parametrize("shortcut", [nullcontext, without_composites])
def test_flags_of_backends_are_part_of_the_key(shortcut: Any) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        q = self.linear(x).view(1, 1, 3, 4)
        return nn.functional.scaled_dot_product_attention(q, q, q)

    model, names = Model(forward), []
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        for backward in (False, True):
            with shortcut(), sdpa_kernel(backend):
                found = measure(model, rows(3), backward=backward)
            assert found.macs == ONE + 3 * 3 * (4 + 4)
            names.append("aten::bmm" in {cost.name for cost in found.operators})
    assert names == [False, True, True, True, False, True]  # in training it is always decomposed
