"""What one model costs for one set of inputs: the data that every part of the package shares."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, to_builtins

from pytest_modelbudget import notebook, outline
from pytest_modelbudget.costs import (
    WHAT_NAMES_ARE,
    Alive,
    CollectiveCost,
    Costs,
    MemoryCost,
    ModuleCost,
    OperatorCost,
    TensorSpec,
    exactly,
    human,
    in_one_unit,
    is_printable,
    percent,
    rounded_up,
    signed_percent,
)
from pytest_modelbudget.metrics import METRICS

__all__ = [
    "WHAT_NAMES_ARE",
    "Alive",
    "CollectiveCost",
    "Costs",
    "Measurement",
    "MeasurementError",
    "MemoryCost",
    "Mode",
    "ModuleCost",
    "OperatorCost",
    "TensorSpec",
    "exactly",
    "human",
    "in_one_unit",
    "is_printable",
    "percent",
    "rounded_up",
    "signed_percent",
]


Mode = Literal["eval", "train"]
"""The mode of a model, which is that of its outermost module."""


class MeasurementError(RuntimeError):
    """The model could not be measured, and why; the message names the remedy."""

    __module__ = "pytest_modelbudget"  # where it is imported from


class Measurement(Struct, frozen=True):
    """The exact integers that one model costs for one set of inputs.

    ``macs`` and ``flops`` are ``None`` without inputs, ``training_macs`` and ``training_flops`` without
    ``backward=True``. ``named`` tells a name that the user gave from one that was taken from the class. ``run`` is
    ``"shape"`` or ``"real"``, and ``mode`` that in which the model ran; both are ``None`` where nothing was run.
    ``unknown`` lists the operators that have no formula; with any of them the measurement is a lower bound and
    ``complete`` is false. ``unplaced`` are those of the operators that a scripted module runs for a part of it, and
    whose part nothing tells. ``file_bytes`` is the size on disk of a model that was given as a file, and
    ``safetensors_bytes`` that of the file to which its ``state_dict`` would be saved, where that is limited. With
    ``ranks`` every number is that of rank 0 of so many, and ``comm_bytes`` are those of its ``collectives``.
    """

    name: str
    params: int
    trainable_params: int
    weight_bytes: int
    modules: ModuleCost
    macs: int | None = None
    flops: int | None = None
    training_macs: int | None = None
    training_flops: int | None = None
    inputs: tuple[TensorSpec, ...] = ()
    flops_per_mac: int = 2
    operators: tuple[OperatorCost, ...] = ()
    unknown: tuple[OperatorCost, ...] = ()
    run: Literal["shape", "real"] | None = None
    mode: Mode | None = None
    named: bool = False
    unplaced: tuple[OperatorCost, ...] = ()
    file_bytes: int | None = None
    safetensors_bytes: int | None = None
    peak_bytes: int | None = None
    saved_bytes: int | None = None
    cache_bytes: int | None = None
    optimizer_bytes: int | None = None
    memory: MemoryCost | None = None
    ranks: int | None = None
    comm_bytes: int | None = None
    collectives: tuple[CollectiveCost, ...] = ()

    def values(self) -> dict[str, int | None]:
        """Return the value of every metric by its name; ``None`` where it was not measured."""
        return {metric: getattr(self, metric) for metric in METRICS}

    @property
    def complete(self) -> bool:
        """Whether every operator that ran has a formula or is known to need none."""
        return not self.unknown

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain builtins (dicts, lists, strings, ints), ready for JSON."""
        return {**to_builtins(self), "complete": self.complete}

    def tree(self, depth: int | None = None, *, exact: bool = False, outputs: bool = False) -> str:
        """Return the module tree as text: params, MACs and share of each, repeated layers as one line.

        ``depth`` is the number of levels below the model, by default as many as fit into 40 lines; modules that are
        not shown are counted. ``exact`` shows every digit, ``outputs`` the shapes of what the modules return.
        """
        return "\n".join(outline.tree(self.modules, self.name, depth, exact=exact, outputs=outputs))

    def table(self, limit: int | None = 20, *, exact: bool = False, free: bool = False) -> str:
        """Return the operators as text: module, calls, MACs and share of each, the heaviest first.

        ``limit`` bounds the rows (``None``: all of them); what is not shown is counted. Operators without MACs are
        left out unless ``free`` is set; ``exact`` shows every digit.
        """
        return "\n".join(outline.operators(self.operators, self.name, limit, exact=exact, free=free))

    def headline(self) -> str:
        """Return the metrics on one line: ``resnet50: params 25.56 M, trainable_params 25.56 M, macs 4.089 G, ...``."""
        shown = ((metric, value) for metric, value in self.values().items() if value is not None)
        text = ", ".join(f"{metric} {human(value, metric)}" for metric, value in shown)
        return f"{self.name}: {text}" + ("" if self.complete else " (lower bound: operators without a formula ran)")

    def __str__(self) -> str:
        return f"{self.headline()}\n{self.tree()}"

    def __repr__(self) -> str:
        inputs = ["inputs=" + ", ".join(map(str, self.inputs))] if self.inputs else []
        numbers = [f"{metric}={value}" for metric, value in self.values().items() if value is not None]
        return f"<Measurement {self.name!r} {' '.join([*inputs, *numbers])}>"

    def _repr_html_(self) -> str:
        return notebook.as_html(self.headline(), self.modules, self.name)
