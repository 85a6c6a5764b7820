"""Let pytest-xdist, run by a test in its own process, have workers that have imported torch before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import execnet.gateway_base
import execnet.gateway_io
import pytest
import xdist.dsession
import xdist.workermanage

from warm import CAN_FORK, execute_line, start


@contextmanager
def warm_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if CAN_FORK:
            patch.setattr(execnet.gateway_io, "Popen2IOMaster", WarmWorker)
        patch.setattr(xdist.workermanage, "_sys_path", [*sys.path])  # workers get it as it was at the import
        yield


class WarmWorker(execnet.gateway_base.Popen2IO):
    """What execnet wants to have of a worker: two pipes, and a way to wait for it and to end it."""

    def __init__(self, args: list[str], execmodel: Any) -> None:
        their_input, our_output = os.pipe()
        our_input, their_output = os.pipe()
        self.process = start(execute_line, descriptors={0: their_input, 1: their_output, 2: 2})
        os.close(their_input)
        os.close(their_output)
        super().__init__(os.fdopen(our_output, "wb"), os.fdopen(our_input, "rb"), execmodel=execmodel)

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()
