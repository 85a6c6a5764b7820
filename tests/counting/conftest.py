"""What several tests of counting need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def mesh(request: pytest.FixtureRequest) -> Iterator[Any]:
    distributed = pytest.importorskip("torch.distributed")
    if not distributed.is_available():
        pytest.skip("torch was built without distributed")
    from torch.testing._internal.distributed.fake_pg import FakeStore

    distributed.init_process_group("fake", rank=0, world_size=request.param, store=FakeStore())
    try:
        yield distributed.device_mesh.init_device_mesh("cpu", (request.param,))
    finally:
        distributed.destroy_process_group()
