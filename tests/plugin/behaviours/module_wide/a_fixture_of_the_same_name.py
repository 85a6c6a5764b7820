from __future__ import annotations

import pytest

from ..models import Net, X


@pytest.fixture
def model_budget():
    return lambda *_, **limits: None


# expect failed: no model was measured
@pytest.mark.budget(macs="1K")
def test_a_fixture_of_the_same_name(model_budget):
    model_budget(Net(), X)
