"""One rank of several in one process: a process group without others, whose collectives are answered and counted.

What a collective costs is the larger of what the rank gives and what it gets: of an all-gather the result, of a
reduce-scatter the input, of an all-reduce the tensor.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import distributed

from pytest_modelbudget.counting.asking.input_tensors import map_tensors, tensors_of
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.real_run.mode import RealRun
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.torch_private import (
    COLLECTIVES,
    collective_itself,
    completed_work,
    is_wrapped_by_autograd,
    new_fake_store,
    schema_of,
)
from pytest_modelbudget.measurement import MeasurementError

_KINDS = {
    **{"allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter"},
    **{"alltoall": "all_to_all", "sharddim": "all_to_all", "broadcast": "broadcast", "reduce": "reduce"},
    **{"scatter": "scatter", "gather": "gather", "send": "send", "isend": "send", "recv": "recv", "irecv": "recv"},
    **{"batchp2p": "send_recv"},
}
"""How the names of operators begin, without underscores, by what they do. Others transfer nothing, as barriers."""
_RETURN_AN_ARGUMENT = {"wait_tensor": 0, "isend": 0, "irecv": 0, "batch_p2p_ops": 3}


def be_rank_0(changes: Changes, ranks: int) -> None:
    """Make a process group of ``ranks`` in which this process is the first, and the others do not exist.

    Raises MeasurementError where the process has a group of its own.
    """
    if not distributed.is_available():
        raise MeasurementError("ranks: this build of torch has no torch.distributed")
    if distributed.is_initialized():
        raise MeasurementError(
            "ranks: a process group is made for the measurement, and this process has one: destroy it before"
        )
    changes.undo_by(lambda: distributed.destroy_process_group() if distributed.is_initialized() else None)
    changes.replace(sys, "excepthook", sys.excepthook)  # torch puts one around it that names the rank
    distributed.init_process_group("fake", store=new_fake_store(), rank=0, world_size=ranks)


class RankRun(RealRun):
    """A real run of rank 0: collectives are answered with zeros in place of what other ranks give."""

    def _run(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if getattr(func, "namespace", None) not in COLLECTIVES or not PLAIN_TYPES.issuperset(types):
            return super()._run(func, types, args, kwargs)
        if is_wrapped_by_autograd(func):
            with self:
                return collective_itself(func)(*args, **kwargs)
        name = func.name().partition("::")[2].partition(".")[0]
        out = _result(func, name, args, kwargs)
        kind = next((kind for begin, kind in _KINDS.items() if name.replace("_", "").startswith(begin)), None)
        if self.ledger is not None and kind is not None:
            self.ledger.charge_collective(kind, max(map(_nbytes, (*args, *kwargs.values(), out))))
        return out


def _result(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    returned = schema_of(func).returns
    if name in _RETURN_AN_ARGUMENT:
        return args[_RETURN_AN_ARGUMENT[name]]
    if func.namespace == "c10d":  # which writes into its first argument
        found = [completed_work(tensors_of(args[0])) if "Work" in str(one.type) else args[0] for one in returned]
        return found[0] if len(found) == 1 else tuple(found) or None
    if returned and returned[0].alias_info is not None:
        return kwargs.get("out", args[0])
    given = map_tensors(lambda one: one.to("meta"), (args, kwargs))
    device = next(one.device for one in tensors_of(args))
    out = func(*given[0], **given[1])
    return map_tensors(lambda one: torch.zeros(one.shape, dtype=one.dtype, device=device), ((out,), {}))[0][0]


def _nbytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    return sum(map(_nbytes, value)) if isinstance(value, (list, tuple)) else 0
