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


def fold(measurement: Measurement) -> FoldedMeasurement:
    """Return ``measurement`` with its identical siblings folded."""
    return FoldedMeasurement(
        measurement.name,
        fold_modules(measurement.modules, measurement.operators, measurement.unknown, aliases=True),
        measurement.inputs,
        measurement.flops_per_mac,
        measurement.run,
        measurement.named,
        measurement.mode,
        measurement.file_bytes,
        measurement.safetensors_bytes,
        measurement.peak_bytes,
        measurement.saved_bytes,
        measurement.cache_bytes,
        measurement.optimizer_bytes,
        measurement.memory,
        measurement.ranks,
        measurement.comm_bytes,
        measurement.collectives,
    )


def unfold(folded: FoldedMeasurement) -> Measurement:
    """Return the measurement that was folded."""
    root, operators, unknown = unfold_modules(folded.modules)
    return Measurement(
        name=folded.name,
        modules=root,
        inputs=folded.inputs,
        flops_per_mac=folded.flops_per_mac,
        operators=tuple(operators),
        unknown=tuple(unknown),
        run=folded.run,
        named=folded.named,
        mode=folded.mode,
        file_bytes=folded.file_bytes,
        safetensors_bytes=folded.safetensors_bytes,
        peak_bytes=folded.peak_bytes,
        saved_bytes=folded.saved_bytes,
        cache_bytes=folded.cache_bytes,
        optimizer_bytes=folded.optimizer_bytes,
        memory=folded.memory,
        ranks=folded.ranks,
        comm_bytes=folded.comm_bytes,
        collectives=folded.collectives,
        **structs.asdict(root.total),
    )
