"""A measurement on its way to other processes and files: its module tree is folded, without loss."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, structs

from pytest_modelbudget.folding import FoldedModule, fold_modules, unfold_modules
from pytest_modelbudget.measurement import CollectiveCost, Measurement, MemoryCost, Mode, TensorSpec


class FoldedMeasurement(Struct, frozen=True, omit_defaults=True):
    """A measurement whose module tree is folded."""

    name: str
    modules: FoldedModule
    inputs: tuple[TensorSpec, ...] = ()
    flops_per_mac: int = 2
    run: Literal["shape", "real"] | None = None
    named: bool = False
    mode: Mode | None = None
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


_KEPT = tuple(name for name in FoldedMeasurement.__struct_fields__ if name not in ("name", "modules"))
"""What a measurement and a folded one have in common, beside the name."""


def fold(measurement: Measurement) -> FoldedMeasurement:
    """Return ``measurement`` with its identical siblings folded."""
    return FoldedMeasurement(
        measurement.name,
        fold_modules(measurement.modules, measurement.operators, measurement.unknown, aliases=True),
        **{name: getattr(measurement, name) for name in _KEPT},
    )


def unfold(folded: FoldedMeasurement) -> Measurement:
    """Return the measurement that was folded."""
    root, operators, unknown = unfold_modules(folded.modules)
    return Measurement(
        name=folded.name,
        modules=root,
        operators=tuple(operators),
        unknown=tuple(unknown),
        **{name: getattr(folded, name) for name in _KEPT},
        **structs.asdict(root.total),
    )
