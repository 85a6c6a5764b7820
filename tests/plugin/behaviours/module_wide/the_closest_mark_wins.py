from __future__ import annotations

import pytest

from ..models import Net, X

pytestmark = pytest.mark.budget(macs=1)


# expect passed: modelbudget.Net.macs.limit = 22000
@pytest.mark.budget(macs=2)
class TestNet:
    @pytest.mark.budget(macs="22K")
    def test_the_closest_mark_wins(self):
        Net()(X)
