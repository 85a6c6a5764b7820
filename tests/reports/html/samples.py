"""Runs for the page: one with everything that can be wrong, and one as large as a page has to bear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from pytest_modelbudget.budgets import Baseline, Place, Rules, Table, budget_for, judge, judge_scaling, parse_limit
from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.scaling import parse_exponent
from pytest_modelbudget.measurement import Alive, Costs, Measurement, MemoryCost, ModuleCost, OperatorCost, TensorSpec
from pytest_modelbudget.results import About, ModelResult, Result, Run, Stale
from pytest_modelbudget.results.difference import differences

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&amp;\N{LINE SEPARATOR}\N{RIGHT-TO-LEFT OVERRIDE}שלום \N{FIRE}"
IMAGE = (TensorSpec("args[0]", (1, 3, 224, 224), "float32"),)


def leaf(name: str, cls: str, params: int, macs: int, **more: Any) -> ModuleCost:
    costs = Costs(params, params, macs, 2 * macs, weight_bytes=4 * params, **more)
    return ModuleCost(name, cls, 1, costs, costs)


def parent(name: str, cls: str, *children: ModuleCost, own: Costs | None = None) -> ModuleCost:
    own = own or Costs(macs=0, flops=0)
    sums = zip(*[structs.astuple(one) for one in (own, *[child.total for child in children])], strict=True)
    total = Costs(*[None if None in column else sum(column) for column in sums])  # type: ignore[arg-type]
    return ModuleCost(name, cls, 1, own, total, children=children)


def transformer(layers: int, width: int, hidden: int, last: str = "head") -> ModuleCost:
    def layer(at: str) -> ModuleCost:
        return parent(
            at,
            "Block",
            parent(
                f"{at}.attention",
                "Attention",
                leaf(f"{at}.attention.qkv", "Linear", 3 * width**2, 196 * 3 * width**2),
                leaf(f"{at}.attention.out", "Linear", width**2, 196 * width**2),
                own=Costs(macs=2 * 196**2 * width, flops=4 * 196**2 * width),
            ),
            parent(
                f"{at}.mlp",
                "MLP",
                leaf(f"{at}.mlp.up", "Linear", width * hidden, 196 * width * hidden),
                leaf(f"{at}.mlp.down", "Linear", width * hidden, 196 * width * hidden),
            ),
            leaf(f"{at}.norm", "LayerNorm", 2 * width, 0),
        )

    blocks = parent("layers", "ModuleList", *[layer(f"layers.{number}") for number in range(layers)])
    stem = structs.replace(leaf("stem", "Conv2d", 3 * 256 * width, 196 * 768 * width), outputs=((1, width, 14, 14), ()))
    return parent("", "Transformer", stem, blocks,
                  leaf(last, "Linear", 1000 * width, 1000 * width))  # fmt: skip


def measured(name: str, tree: ModuleCost, **more: Any) -> Measurement:
    operators = tuple(
        OperatorCost("aten::addmm" if module.cls == "Linear" else "aten::convolution", module.name, 1, module.own.macs)
        for module in tree.walk()
        if module.own.macs
    )
    values = {"inputs": IMAGE, "run": "shape", "named": True, "operators": operators, **more}
    return Measurement(name=name, modules=tree, **{**structs.asdict(tree.total), **values})


def judged(
    measurement: Measurement,
    limits: Mapping[str, object] | None = None,
    *,
    warns: Mapping[str, object] | None = None,
    before: Measurement | None = None,
    growth: str = "0%",
    excused: bool = False,
    message: str | None = None,
    **policies: Any,
) -> ModelResult:
    place = Place("pyproject.toml", 12, f"[tool.modelbudget.models.{measurement.name}]")
    rules = Rules(
        {metric: parse_limit(metric, value, place) for metric, value in (limits or {}).items()},
        {metric: parse_limit(metric, value, place) for metric, value in (warns or {}).items()},
        growths={metric: parse_growth(growth, place) for metric in ("params", "macs")} if before else {},
        message=message,
    )
    table = Table(models={measurement.name: rules}, **policies)
    known = {metric: value for metric, value in before.values().items() if value is not None} if before else {}
    baseline = Baseline(known) if before else None
    verdict = judge(measurement, budget_for(table, (measurement.name,)), table, baseline)
    changed = differences(before, measurement) if before else ()
    return ModelResult(Result.of(verdict, measurement, changed), (f"tests/test_{measurement.name}.py::test",), excused)


def everything() -> Run:
    """Return a run in which everything is wrong that can be."""
    small = measured("encoder", transformer(12, 384, 1536))
    grown = measured("encoder", transformer(12, 384, 1792, last="classifier"))
    vit = measured("vit_b_16", transformer(12, 768, 3072))
    unknown = measured("exotic", transformer(2, 64, 256), unknown=(OperatorCost("ns::op", "layers.0.mlp", 3, 0),))
    weights = measured("weights_only", leaf("", "Linear", 10**6, 0))
    none = {"macs": None, "flops": None}
    bare = structs.replace(weights, modules=leaf("", "Linear", 10**6, 0), inputs=(), run=None, operators=(), **none)
    bare = structs.replace(bare, modules=structs.replace(bare.modules, own=_unrun(bare), total=_unrun(bare)))
    hostile = parent("", HOSTILE, leaf(HOSTILE.replace(".", ""), "<b>Linear</b>", 10, 2**61 + 1))
    models = (
        judged(vit, {"params": "100M", "macs": "16G"}, message="The serving budget; ask <b>Ann</b> before raising it."),
        judged(grown, {"params": "30M"}, before=small, growth="1%"),
        judged(measured("distilled", transformer(6, 384, 1536)), {"macs": "4G"}, warns={"params": "10M"}),
        judged(measured("tablet", transformer(12, 512, 2048)), {"macs": "5G"}, excused=True),
        judged(unknown, {"params": "1M"}),
        judged(bare, {"macs": "1G"}),
        judged(measured("unnoticed", transformer(1, 32, 64))),
        judged(measured(HOSTILE, hostile), {"macs": "3000000T"}),
        judged(measured("exactly", leaf("", "Linear", 100, 10**9)), {"params": 100}),
        judged(measured("lean", transformer(4, 256, 1024)), {"params": "10M"}, before=measured("lean", transformer(5, 256, 1024))),
        judged(measured("twin", transformer(2, 64, 128)), {"params": "1M"}),
        judged(measured("twin", transformer(3, 64, 128)), {"params": "1M"}),
        judged(measured("nothing", leaf("", "Identity", 0, 0)), {"params": 0}),
    )  # fmt: skip
    return Run(
        models,
        contradicting=((10, 11),),
        lost_workers=("gw1",),
        internal_errors=("Traceback\nRuntimeError: <i>no</i>",),
        stale=(Stale("old<b>", Place("pyproject.toml", 30, "[tool.modelbudget.models.old]"), "error", "vit_b_16"),),
        unused=("tests/test_a.py::test_unused",),
        outside=(("tests/test_b.py::test", (OperatorCost("aten::mm", "", 2, 500_000_000),)),),
        incomplete=("deselected", "skipped"),
        left_out=("tests/test_c.py::test",),
        about=About("house <b>", "0123456789abcdef", "2026-11-30T16:20:02Z", "2.13.0", "1.0"),
    )


def _unrun(measurement: Measurement) -> Costs:
    return structs.replace(measurement.modules.own, macs=None, flops=None)


def trained() -> ModelResult:
    """Return a model with training MACs and FLOPs, one of whose modules ran two operators."""
    own = Costs(10, 10, 300, 600, 900, 1800, 40)
    ran = (
        OperatorCost("aten::mm", "two", 1, 100, 400), OperatorCost("aten::bmm", "two", 1, 200, 500),
        OperatorCost("aten::mm", "one", 2, 300, 900), OperatorCost("aten::relu", "none", 1, 0),
    )  # fmt: skip
    tree = parent("", "Net", *[ModuleCost(name, "Linear", 1, own, own) for name in ("two", "one", "none")],
                  own=Costs(macs=0, flops=0, training_macs=0, training_flops=0))  # fmt: skip
    return judged(measured("trained", tree, operators=ran), {"params": "1K"})


def remembered(name: str = "chain", module: str = "1", stretch: int = 1) -> ModelResult:
    """Return Linear(8, 32), ReLU, Linear(32, 4) on 4 rows, whose memory was measured."""
    tree = parent(
        "", "Sequential", leaf("0", "Linear", 288, 1024), leaf("1", "ReLU", 0, 0), leaf("2", "Linear", 132, 512)
    )
    alive = (Alive(512, "aten::linear", "0"), Alive(512, "aten::relu", "1"))
    memory = MemoryCost(1024, "aten::relu", module, alive, (640, 1024, 576), stretch)
    return judged(measured(name, tree, peak_bytes=1024, memory=memory), {"peak_bytes": "2 KB"})


def scaled(times: int = 4) -> ModelResult:
    """Return a model whose MACs are so many ``times`` as high at twice the size, where linear growth is allowed."""
    small, place = measured("small", transformer(2, 32, 64)), Place("pyproject.toml", 7)
    part = Rules({"params": parse_limit("params", 40, place)}, module="*")
    nowhere = Rules({"params": parse_limit("params", 1, place)}, module="nowhere")
    verdict = judge(small, budget_for(Table(), ("small",), [part, nowhere]))
    points = [(1, small), (2, structs.replace(small, macs=times * (small.macs or 1)))]
    verdict = judge_scaling(verdict, {"macs": parse_exponent("linear", place)}, points)
    return ModelResult(Result.of(verdict, small), ("test.py::test",))


def large(models: int = 200, modules: int = 2000, *, grown: bool = False) -> Run:
    """Return a run of many models, no two of whose modules are alike; all of them may have grown."""
    return Run(tuple(_uneven(number, modules, grown) for number in range(models)))


def _uneven(number: int, modules: int, grown: bool) -> ModelResult:
    name = f"family_{number // 10}/model_{number}"
    limits = {"params": 10**11 + number, "macs": "40T"}
    before = measured(name, _blocks(number, modules, 0)) if grown else None
    return judged(measured(name, _blocks(number, modules, 7 * grown)), limits, before=before)


def _blocks(number: int, modules: int, more: int) -> ModuleCost:
    """Return a tree of blocks, each of whose modules has ``more`` of everything, the later the more."""

    def blocks() -> Iterator[ModuleCost]:
        for block in range(modules // 5):
            at, width = f"stages.{block % 8}_{block}", 17 * block + number + 8
            parts = [
                leaf(
                    f"{at}.{name}",
                    cls,
                    width * (width + place) + more * (block + place + 1),
                    (49 + block) * width * (width + place + number) + more * (3 * block + place + 1),
                )
                for place, (name, cls) in enumerate(
                    [("conv", "Conv2d"), ("norm", "BatchNorm2d"), ("project", "Linear"), ("gate", "Linear")]
                )
            ]
            yield parent(at, "Stage", *parts)

    return parent("", "Network", parent("stages", "Sequential", *blocks()))
