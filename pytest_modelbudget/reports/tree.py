"""One model in detail, for those who ask with ``-v``."""

from __future__ import annotations

from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.reports.wording import circumstances


def described(measurement: Measurement) -> str:
    """Return how a model was counted, and its module tree."""
    how = "; ".join(circumstances(measurement))
    return f"{measurement.name}: {how}\n{measurement.tree()}"
