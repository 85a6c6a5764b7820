"""Hold a measurement against its budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.merging import Budget
from pytest_modelbudget.budgets.table import Table
from pytest_modelbudget.measurement import METRICS, Measurement

Status = Literal["over", "unknown", "warn", "unbudgeted", "within"]


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """One metric of one model, with the limits that it is held against; limits are inclusive."""

    metric: str
    value: int | None
    limit: Limit | None = None
    warn: Limit | None = None

    @property
    def over(self) -> bool:
        """Whether the value is above the limit."""
        return self.value is not None and self.limit is not None and self.value > self.limit.value

    @property
    def warned(self) -> bool:
        """Whether the value is above the threshold of the warning."""
        return self.value is not None and self.warn is not None and self.value > self.warn.value

    @property
    def unchecked(self) -> bool:
        """Whether a limit applies to a metric that was not measured."""
        return self.value is None and (self.limit is not None or self.warn is not None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One measurement held against its budget.

    ``metrics`` holds every metric that was measured or has a limit. ``unknown`` describes the operators without a
    formula; with any of them every value of compute is a lower bound. ``unbudgeted`` and ``unknown_ops`` are the
    project's policies; ``excused`` tells that ``xfail`` expected the excess.
    """

    model: str
    named: bool
    metrics: tuple[MetricVerdict, ...]
    flops_per_mac: int = 2
    unknown: tuple[str, ...] = ()
    message: str | None = None
    unbudgeted: Literal["report", "warn", "error"] = "report"
    unknown_ops: Literal["error", "warn"] = "error"
    excused: bool = False
    tree: str = ""

    @property
    def over(self) -> tuple[MetricVerdict, ...]:
        """The metrics above their limits."""
        return tuple(metric for metric in self.metrics if metric.over)

    @property
    def warned(self) -> tuple[MetricVerdict, ...]:
        """The metrics above the threshold of their warning."""
        return tuple(metric for metric in self.metrics if metric.warned)

    @property
    def unchecked(self) -> tuple[MetricVerdict, ...]:
        """The metrics that have a limit and were not measured."""
        return tuple(metric for metric in self.metrics if metric.unchecked)

    @property
    def budgeted(self) -> bool:
        """Whether any limit applies."""
        return any(metric.limit or metric.warn for metric in self.metrics)

    @property
    def status(self) -> Status:
        """The worst that can be said."""
        if self.over:
            return "over"
        if self.unknown:
            return "unknown"
        if self.warned:
            return "warn"
        return "within" if self.budgeted else "unbudgeted"


def judge(measurement: Measurement, budget: Budget, table: Table | None = None) -> Verdict:
    """Return the verdict on ``measurement`` under ``budget`` and the policies of ``table``."""
    policies = table or Table()
    # An exact int, whatever kind of integer was counted with: the verdict crosses to other processes as builtins.
    values = {metric: getattr(measurement, metric) for metric in METRICS}
    judged = (
        MetricVerdict(
            metric, None if value is None else int(value), budget.limits.get(metric), budget.warns.get(metric)
        )
        for metric, value in values.items()
    )
    return Verdict(
        measurement.name,
        measurement.named,
        tuple(metric for metric in judged if metric.value is not None or metric.unchecked),
        measurement.flops_per_mac,
        tuple(
            f"{cost.name} in {cost.module or measurement.name} ({cost.calls} call{'s' * (cost.calls != 1)})"
            for cost in measurement.unknown
        ),
        budget.message,
        policies.unbudgeted,
        policies.unknown_ops,
    )
