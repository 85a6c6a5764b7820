from __future__ import annotations

import pytest

from ..models import Net, X

pytestmark = pytest.mark.budget(macs=1, params="23K")


# expect passed: modelbudget.Net.params.limit = 23000
# and: no modelbudget.Net.macs.limit
@pytest.mark.budget(macs=None)
def test_none_lifts_an_inherited_limit():
    Net()(X)
