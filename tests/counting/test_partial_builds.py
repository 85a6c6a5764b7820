"""A factory that fails while it is built by shapes has shown how much memory a real build takes at least."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytest_modelbudget import MeasurementError, measure


class AsksWhileBuilt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(1_000_000, 40_000)
        self.scale = float(self.wide.weight[0, 0].item())


def test_a_real_build_that_cannot_fit_is_not_begun() -> None:
    with pytest.raises(MeasurementError, match="its weights take 160,000,160,000 bytes"):
        measure(AsksWhileBuilt, torch.zeros(1, 1_000_000))
