"""Count an instance again (warm memo), beside its plain forward and beside the bare Python of that forward.

``pytest benchmarks/speed/test_again.py --benchmark-group-by=param:name --benchmark-columns=min,median,rounds``

The floor is the same forward under a dispatch mode that returns, for each operator in turn, a tensor of the recorded
shape: the module calls, torch's own Python, autograd and the dispatcher, with the cheapest stand-in for every operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.speed.models import MODELS
from pytest_modelbudget import measure
from pytest_modelbudget.counting.shape_run.tensors import new_shape_tensor, spec_of


class Recorded(TorchDispatchMode):
    """Runs every operator and notes the shapes of its results."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if args and out is args[0]:
            self.results.append(None)
        elif isinstance(out, torch.Tensor):
            self.results.append(spec_of(out))
        else:
            self.results.append(tuple(item if item is None else spec_of(item) for item in out))
        return out


class Replayed(TorchDispatchMode):
    """Returns tensors of the noted shapes, and does nothing else."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in the plugin's own modes, or the floor would be higher than it is

    def __init__(self, results: list[Any]) -> None:
        super().__init__()
        self.results: Iterator[Any] = iter(results)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        noted = next(self.results)
        if noted is None:
            return args[0]
        return (
            tuple([item and new_shape_tensor(item) for item in noted])
            if type(noted) is tuple
            else new_shape_tensor(noted)
        )


@pytest.fixture(params=["resnet50", "mobilenetv2", "vit_b_16", "vit_l_16", "bert", "gpt2"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("what", ["count again", "floor", "forward"])
def test_again(benchmark: Any, name: str, what: str) -> None:
    factory, make_input = MODELS[name]
    model, x = factory().eval(), make_input()
    torch.backends.mha.set_fastpath_enabled(what == "forward")
    try:
        with torch.no_grad():
            if what == "count again":
                measure(model, x)
                benchmark.pedantic(lambda: measure(model, x), rounds=15, warmup_rounds=2)
            elif what == "forward":
                benchmark.pedantic(lambda: model(x), rounds=7, warmup_rounds=2)
            else:
                with Recorded() as recorded:
                    model(x)

                def replay() -> None:
                    with Replayed(recorded.results):
                        model(x)

                benchmark.pedantic(replay, rounds=15, warmup_rounds=2)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
