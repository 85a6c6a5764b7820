from __future__ import annotations

import pytest

from ..models import Net, X

pytestmark = [pytest.mark.budget(params=22209)]


# expect failed: Net: flops 44.00 K > 43 K (+2.3%), 1 more
@pytest.mark.budget(flops="43K")
class TestNet:
    @pytest.mark.budget(macs="22K")
    def test_class_and_module_marks_merge(self):
        Net()(X)
