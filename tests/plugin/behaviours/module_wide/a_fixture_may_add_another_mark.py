from __future__ import annotations

import pytest

from ..models import Net, X


@pytest.fixture(autouse=True)
def limited(request):
    request.node.add_marker(pytest.mark.budget(params=22209))


# expect failed: params 22,210 > 22,209
@pytest.mark.budget(macs="1M")
def test_a_fixture_may_add_another_mark():
    Net()(X)
