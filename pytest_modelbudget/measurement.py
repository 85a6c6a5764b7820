"""What one model costs for one set of inputs: the data that every part of the package shares.

Plain, frozen values. Every number is an exact ``int``; rounding happens in :func:`human`, when a person reads it, and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal
from unicodedata import category

from msgspec import Struct, to_builtins

from pytest_modelbudget.metrics import METRICS


class MeasurementError(RuntimeError):
    """The model could not be measured, and why; the message names the remedy."""

    __module__ = "builtins"  # so that the short test summary has room for the message


class Costs(Struct, frozen=True, gc=False):
    """The metrics of a model or of one of its modules.

    ``macs`` and ``flops`` are ``None`` where nothing was run, ``training_*`` where no backward was asked for.
    """

    params: int = 0
    trainable_params: int = 0
    macs: int | None = None
    flops: int | None = None
    training_macs: int | None = None
    training_flops: int | None = None
    weight_bytes: int = 0


class TensorSpec(Struct, frozen=True, gc=False):
    """Shape and dtype of one input; ``name`` is its place in the call, as in ``args[0]`` or ``kwargs['mask']``.

    A dimension whose size differs within a nested tensor is -1.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> str:
        """The shape as people write it: ``1x3x224x224``."""
        return "x".join(map(str, self.shape)) or "scalar"

    def __str__(self) -> str:
        return f"{self.name} {self.size} {self.dtype}"


class OperatorCost(Struct, frozen=True, gc=False):
    """What one operator costs inside one module.

    ``name`` is the operator's qualified name (``aten::convolution``), ``module`` the qualified name of the innermost
    running module (``""`` is the model itself), ``macs`` the MACs of its ``calls`` in the forward pass and
    ``training_macs`` those of forward and backward (``None`` where no backward was asked for).
    """

    name: str
    module: str
    calls: int
    macs: int
    training_macs: int | None = None


class ModuleCost(Struct, frozen=True, gc=False):
    """What one module costs: by itself (``own``) and with everything below it (``total``).

    ``name`` is the first qualified name under which the model holds the module, ``aliases`` are the others. A
    parameter shared by several modules belongs to the first of them. ``own`` over the whole tree sums exactly to the
    model's metrics.
    """

    name: str
    cls: str
    calls: int
    own: Costs
    total: Costs
    aliases: tuple[str, ...] = ()
    children: tuple[ModuleCost, ...] = ()

    def walk(self) -> Iterator[ModuleCost]:
        """Yield this module and all below it, parents before children, in the order of definition."""
        yield self
        for child in self.children:
            yield from child.walk()


class Measurement(Struct, frozen=True):
    """The exact integers that one model costs for one set of inputs.

    ``macs`` and ``flops`` are ``None`` without inputs, ``training_macs`` and ``training_flops`` without
    ``backward=True``. ``named`` tells a name that the user gave from one that was taken from the class. ``run`` is
    ``"shape"`` or ``"real"``, or ``None`` where nothing was run. ``unknown`` lists the operators that have no formula;
    with any of them the measurement is a lower bound and ``complete`` is false.
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
    named: bool = False

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

    def tree(self, depth: int | None = None) -> str:
        """Return the module tree as text, one line a module with its params and MACs; ``depth`` bounds the levels."""
        rows = [
            (
                "  " * level + (module.name.rpartition(".")[2] or self.name) + f" ({module.cls})",
                human(module.total.params),
                human(module.total.macs),
                f"called {module.calls} times" if module.calls > 1 else "",
            )
            for level, module in _levels(self.modules, 0)
            if depth is None or level <= depth
        ]
        return _tabulate(rows, ("module", "params", "MACs", ""))

    def table(self) -> str:
        """Return the operator table as text: operator, module, calls and MACs, the heaviest first."""
        ranked = sorted(self.operators, key=lambda operator: (-operator.macs, operator.module, operator.name))
        rows = [(cost.name, cost.module or self.name, f"{cost.calls:,}", human(cost.macs)) for cost in ranked]
        return _tabulate(rows, ("operator", "module", "calls", "MACs"))

    def __str__(self) -> str:
        shown = ((metric, value) for metric, value in self.values().items() if value is not None)
        text = ", ".join(f"{metric} {human(value, metric)}" for metric, value in shown)
        return f"{self.name}: {text}" + ("" if self.complete else " (lower bound: operators without a formula ran)")

    def __repr__(self) -> str:
        inputs = ["inputs=" + ", ".join(map(str, self.inputs))] if self.inputs else []
        numbers = [f"{metric}={value}" for metric, value in self.values().items() if value is not None]
        return f"<Measurement {self.name!r} {' '.join([*inputs, *numbers])}>"


def is_printable(name: str) -> bool:
    """Return whether every report can show a name: without control characters and lone surrogates."""
    return not any(category(letter) in ("Cc", "Cs") for letter in name)


def human(value: int | None, metric: str = "") -> str:
    """Return ``value`` for people: four significant digits and a decimal SI prefix (``4.089 G``).

    ``weight_bytes`` carries its unit (``102.2 MB``); ``None`` is ``-``. Numbers below 10 000 are shown exactly.
    """
    if value is None:
        return "-"
    unit = METRICS[metric].unit if metric else ""
    sign, magnitude = ("-" if value < 0 else ""), abs(value)
    if magnitude < 10_000:
        return f"{sign}{magnitude} {unit}".rstrip()
    digits = len(str(magnitude))
    step = 10 ** (digits - 4)
    rounded = (magnitude + step // 2) // step  # 4 digits, or 10000 when the rounding carries
    digits = len(str(rounded)) + digits - 4
    prefix = (digits - 1) // 3
    if prefix > 5:
        return f"{sign}{magnitude:,} {unit}".rstrip()
    text = str(rounded)[:4]
    whole = digits - 3 * prefix
    return f"{sign}{text[:whole]}.{text[whole:]} {' KMGTP'[prefix]}{unit}".replace(". ", " ")


def _levels(module: ModuleCost, level: int) -> Iterator[tuple[int, ModuleCost]]:
    yield level, module
    for child in module.children:
        yield from _levels(child, level + 1)


def _tabulate(rows: Sequence[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    from tabulate import tabulate

    alignment = ["left", *("left" if name in ("", "module") else "right" for name in headers[1:])]
    return tabulate(
        rows, headers=headers, tablefmt="plain", colalign=alignment, disable_numparse=True, preserve_whitespace=True
    )
