"""Fake, functional and tracing modes: what computes nothing is not counted, and traced as if nobody counted.

Net is Linear(8, 16), ReLU, Linear(16, 8): 2 * 8 * 16 = 256 MACs a row. Every input has 4 rows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim, export
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_modelbudget import Measurement, MeasurementError, measure
from pytest_modelbudget.counting import observe
from pytest_modelbudget.counting.measuring import force_real_run
from pytest_modelbudget.counting.observing.observation import Observation

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's exporters and their dependencies
needs_hints = pytest.mark.skipif(not hasattr(Dim, "DYNAMIC"), reason="this torch has no Dim.DYNAMIC")
ROWS = 4
MACS = ROWS * 256


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(x).relu())


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, self.a, self.b, (x,))


def x(rows: int = ROWS) -> torch.Tensor:
    return torch.ones(rows, 8)


def seen(run: Callable[[], Any]) -> Observation:
    with observe() as observed:
        run()
    return observed


def macs(measurements: list[Measurement]) -> list[int | None]:
    return [one.macs for one in measurements]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "dim",
    [
        lambda: Dim("b"),
        pytest.param(lambda: Dim.DYNAMIC, marks=needs_hints),
        pytest.param(lambda: Dim.AUTO, marks=needs_hints),
    ],
    ids=["Dim", "DYNAMIC", "AUTO"],
)
def test_dynamic_sizes_stay_dynamic(strict: bool, dim: Callable[[], Any]) -> None:
    def export_and_run() -> None:
        program = export(Net(), (x(),), dynamic_shapes={"x": {0: dim()}}, strict=strict)
        program.module()(x(5))

    observed = seen(export_and_run)
    assert macs(observed.measurements) == [5 * 256]  # the exported program alone has run
    assert strict or observed.traced_under == {"FakeTensorMode"}


def _aot() -> Any:
    from functorch.compile import aot_module, nop

    return aot_module(Net(), nop)(x())


def _opcheck() -> None:
    twice = torch.library.custom_op("modes_of_others::twice", mutates_args=(), schema="(Tensor x) -> Tensor")(_twice)
    twice.register_fake(lambda x: torch.empty_like(x))
    torch.library.opcheck(twice, (x(),))


def _twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def _pipeline() -> None:
    from torch.distributed.pipelining import SplitPoint, pipeline

    pipeline(Net(), mb_args=(x(),), split_spec={"down": SplitPoint.BEGINNING})


@pytest.mark.parametrize(
    ("trace", "computed"),
    [
        (lambda: export(Net(), (x(),)), []),
        (lambda: export(Net(), (x(),)).run_decompositions(), []),
        (lambda: export(Branches(), (x(),)), []),
        (lambda: make_fx(lambda x: x @ x.T, tracing_mode="symbolic")(x()), []),
        (lambda: make_fx(Net())(x()), [MACS]),  # on real tensors, it computes them
        (_aot, [MACS]),  # traced, and then run
        (_opcheck, [0]),  # the same, with an operator that has no formula
        (_pipeline, []),
    ],
    ids=["export", "decompositions", "cond", "symbolic", "make_fx", "aot_module", "opcheck", "pipeline"],
)
def test_what_traces_works_and_only_what_computes_counts(trace: Callable[[], Any], computed: list[int]) -> None:
    if trace is _pipeline and not torch.distributed.is_available():
        pytest.skip("torch was built without distributed")
    assert macs(seen(trace).measurements) == computed


@needs_hints
def test_a_fake_mode_within_a_forward_adds_nothing() -> None:
    class Plans(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            from torch._subclasses.fake_tensor import FakeTensorMode

            with FakeTensorMode():
                Net()(torch.ones(100, 8))
            export(self.up, (x[:2],), dynamic_shapes=({0: Dim.DYNAMIC},))
            return super().forward(x)

    assert macs(seen(lambda: Plans()(x())).measurements) == [MACS]
    for model in (Plans(), Plans):
        found = measure(model, x())
        assert found.macs == found.modules.children[0].total.macs * 2 == MACS


@pytest.mark.parametrize("real", [False, True])
def test_a_model_that_ran_without_data_alone_is_not_measured(real: bool) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    class Fakes(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with FakeTensorMode(allow_non_fake_inputs=True):
                return super().forward(torch.ones(x.shape))

    with (
        force_real_run() if real else nullcontext(),
        pytest.raises(MeasurementError, match=r"no model .*FakeTensorMode"),
    ):
        measure(Fakes(), x())
    observed = seen(lambda: Fakes()(x()))
    assert macs(observed.measurements) == []
    assert observed.traced_under == {"FakeTensorMode"}


def test_a_fake_mode_around_everything_is_the_users_own() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert macs(seen(lambda: Net()(x())).measurements) == [MACS]
        assert measure(Net(), x()).macs == MACS


def test_a_fake_mode_inside_is_not_and_is_named() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    def run() -> None:
        with FakeTensorMode():
            Net()(x())

    observed = seen(run)
    assert observed.measurements == []
    assert observed.traced_under == {"FakeTensorMode"}


def test_functional_tensors_are_wrapped_by_a_mode_of_others() -> None:
    from torch._subclasses.functional_tensor import FunctionalTensor, FunctionalTensorMode

    model, rows = Net(), x()

    def run() -> None:
        with FunctionalTensorMode():
            model(FunctionalTensor.to_functional(rows))

    observed = seen(run)
    assert observed.measurements == []
    assert observed.traced_under == {"FunctionalTensorMode"}
    assert macs(seen(lambda: torch.func.functionalize(Net())(x())).measurements) == [MACS]


@pytest.mark.parametrize("strict", [False, True])
def test_a_branch_is_exported_as_one_and_runs_one_side(strict: bool) -> None:
    def exported() -> nn.Module:
        return export(Branches(), (x(),), strict=strict).module()

    assert macs(seen(lambda: exported()(x())).measurements) == [ROWS * 64]
    assert measure(exported(), x()).macs == ROWS * 64
    assert measure(exported, x()).macs == ROWS * 64


@pytest.mark.parametrize("real", [False, True])
def test_a_traced_function_in_a_factory_counts(real: bool) -> None:
    with force_real_run() if real else nullcontext():
        assert measure(lambda: make_fx(nn.Linear(8, 8))(x()), x()).macs == ROWS * 64


class Log(TorchDispatchMode):
    """Counts the products of (4, 8) by (8, 8) as they are dispatched, whatever for."""

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.products += func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("real", [False, True])
def test_linearize_costs_every_product_that_it_computes(real: bool) -> None:
    class Linearized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.func.linearize(self.layer, x)[1](x)

    with Log() as log, torch.no_grad():
        Linearized()(x())
    with force_real_run() if real else nullcontext():
        assert measure(Linearized(), x()).macs == log.products * ROWS * 64


@pytest.mark.parametrize("mesh", [1, 2], indirect=True)
def test_planning_the_parts_of_a_distributed_tensor_adds_nothing(mesh: Any) -> None:
    """Each of n ranks has an nth of both layers: 1024 / n; training 2560 / n, since x needs no gradient."""
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    def sharded() -> nn.Module:
        return parallelize_module(Net(), mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})

    for rows in (3, 3):  # the first call with a shape plans it
        assert macs(seen(lambda rows=rows: sharded()(x(rows))).measurements) == [rows * 256 // mesh.size()]
    for _ in range(2):
        assert measure(sharded(), x()).macs == MACS // mesh.size()
        assert measure(sharded(), x(), backward=True).training_macs == 2560 // mesh.size()
        assert measure(sharded, x()).macs == MACS // mesh.size()
