"""The words and numbers that every report shares. This is where rounding happens, and nowhere before."""

from __future__ import annotations

from pytest_modelbudget.budgets import Limit, MetricVerdict
from pytest_modelbudget.measurement import Measurement, human

LABELS = {
    "params": "params",
    "trainable_params": "trainable",
    "macs": "MACs",
    "flops": "FLOPs",
    "training_macs": "training MACs",
    "training_flops": "training FLOPs",
    "weight_bytes": "weights",
}
"""The metrics as column headings."""


def compared(metric: str, value: int | None, limit: Limit) -> tuple[str, str]:
    """Return value and limit for people: rounded, and the limit as it was declared.

    Where the two would look equal and are not, both are exact.
    """
    if value is None or value == limit.value or human(value, metric) != human(limit.value, metric):
        return human(value, metric), limit.text
    return exactly(metric, value), exactly(metric, limit.value)


def exactly(metric: str, value: int) -> str:
    """Return every digit, with separators."""
    return f"{value:,} B" if metric == "weight_bytes" else f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` as a percentage with one decimal, and never as a zero that is none."""
    if whole == 0:
        return ""
    tenths = (2000 * part + whole) // (2 * whole)
    return "<0.1%" if part and not tenths else f"{tenths // 10:,}.{tenths % 10}%"


def excess(metric: MetricVerdict) -> str:
    """Return how far a metric is over its limit: ``89.18 M (2.2%)``."""
    assert metric.value is not None
    assert metric.limit is not None
    over = metric.value - metric.limit.value
    share = percent(over, metric.limit.value)
    return human(over, metric.metric) + (f" ({share})" if share else "")


def convention(flops_per_mac: int) -> str:
    """Return the convention in use."""
    return f"1 MAC = {counted(flops_per_mac, 'FLOP')}"


def circumstances(measurement: Measurement) -> list[str]:
    """Return what the numbers of a measurement depend on: convention, inputs, and the kind of run."""
    inputs = [
        f"{spec.name} {'x'.join(map(str, spec.shape)) or 'scalar'} {spec.dtype.removeprefix('torch.')}"
        for spec in measurement.inputs
    ]
    return [
        convention(measurement.flops_per_mac),
        *([f"inputs {', '.join(inputs)}"] if inputs else []),
        *([f"{measurement.run} run"] if measurement.run else []),
    ]


def counted(number: int, noun: str) -> str:
    """Return ``1 model`` or ``3 models``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
