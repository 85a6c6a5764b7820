"""What a conformance case is, and how its model and inputs are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Exemptions = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One small model with its cost, derived by hand as arithmetic on shapes.

    ``build`` makes the model and doubles as the factory. ``args`` and ``kwargs`` make the inputs. ``training_macs`` is
    ``None`` where training is not defined for the model. ``why`` is the formula in one line. ``varies`` names the
    invariances that do not hold for this model, each with its reason (see README.md for the names). ``needs_values`` is
    the reason why a shape run cannot measure the model, ``build_needs_values`` why it cannot even build it.
    ``unavailable`` says what this machine lacks, or is empty.
    """

    name: str
    build: Callable[[], nn.Module]
    args: Callable[[], Any]
    macs: int
    params: int
    trainable_params: int
    training_macs: int | None
    why: str
    kwargs: Callable[[], dict[str, Any]] = dict
    varies: Exemptions = field(default_factory=dict)
    needs_values: str = ""
    build_needs_values: str = ""
    unavailable: str = ""

    def model(self) -> nn.Module:
        """Return the model, the same weights every time."""
        torch.manual_seed(0)
        return self.build()

    def inputs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return args and kwargs, the same values every time."""
        torch.manual_seed(1)
        args = self.args()
        return (args if isinstance(args, tuple) else (args,)), self.kwargs()


class Family:
    """The cases of one family of models, in the order in which they are written."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cases: list[Case] = []

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases)

    def case(
        self,
        args: Callable[[], Any],
        *,
        macs: int,
        why: str,
        params: int = 0,
        trainable: int | None = None,
        training: int | None = None,
        name: str = "",
        **others: Any,
    ) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
        """Register the decorated function as the model of a case that has its name, or ``name``."""

        def register(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
            full = f"{self.name}-{name or build.__name__}"
            known = params if trainable is None else trainable
            self._cases.append(Case(full, build, args, macs, params, known, training, why, **others))
            return build

        return register

    def expression(self, name: str, f: Callable[..., Any], *weights: tuple[int, ...], **others: Any) -> None:
        """Register a model of one expression; its weights are trainable parameters of the given shapes."""
        params = sum(torch.Size(shape).numel() for shape in weights)

        def build() -> nn.Module:
            return Expression(f, *weights)

        self.case(params=params, name=name, **others)(build)


class Expression(nn.Module):
    """A model whose forward is ``f(*inputs, *weights)``."""

    def __init__(self, f: Callable[..., Any], *weights: tuple[int, ...]) -> None:
        super().__init__()
        self.f = f
        self.weights = nn.ParameterList([nn.Parameter(0.1 * torch.randn(shape)) for shape in weights])

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.f(*args, *self.weights, **kwargs)


def rand(*shape: int, **options: Any) -> torch.Tensor:
    """Return a floating-point input without gradient."""
    return torch.randn(shape, **options)


def grad(*shape: int, **options: Any) -> torch.Tensor:
    """Return a floating-point input that requires grad."""
    return torch.randn(shape, **options).requires_grad_()


def ints(*shape: int, high: int) -> torch.Tensor:
    """Return indices from 0 to below ``high``."""
    return torch.randint(high, shape)
