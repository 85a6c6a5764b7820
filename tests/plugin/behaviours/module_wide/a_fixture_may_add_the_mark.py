from __future__ import annotations

import pytest

from ..models import Net, X


@pytest.fixture(autouse=True)
def limited(request):
    request.node.add_marker(pytest.mark.budget(macs="1K"))


# expect failed: macs 22.00 K > 1 K
def test_a_fixture_may_add_the_mark():
    Net()(X)
