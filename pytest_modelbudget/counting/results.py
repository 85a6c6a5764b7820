"""Turn what a run has written down into a Measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_modelbudget.counting.modules import Ledger, ModuleIndex, class_name
from pytest_modelbudget.measurement import Costs, Measurement, ModuleCost, OperatorCost, TensorSpec

Tally = dict[tuple[int, str], list[int]]


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller asked for, apart from the model and its inputs."""

    name: str
    named: bool
    inputs: tuple[TensorSpec, ...]
    backward: bool
    flops_per_mac: int


def weights_only(index: ModuleIndex, request: Request) -> Measurement:
    """Return the measurement of a model that was not run."""
    root = _tree(index, [_weights(index, position) for position in range(len(index.nodes))])
    return _measurement(root, request, None, (), ())


def measurement(index: ModuleIndex, ledger: Ledger, request: Request, run: Literal["shape", "real"]) -> Measurement:
    """Return the measurement of a run."""
    macs, training = [0] * len(index.nodes), [0] * len(index.nodes)
    for (position, _), (_, count) in ledger.forward.items():
        macs[position] += count
        training[position] += count
    for (position, _), (_, count) in ledger.training.items():
        training[position] += count
    scale = request.flops_per_mac
    own = []
    for position, node in enumerate(index.nodes):
        cost, flops = macs[position], macs[position] * scale
        if not request.backward:
            own.append(Costs(node.params, node.trainable_params, cost, flops, None, None, node.weight_bytes))
            continue
        trained = training[position]
        own.append(Costs(node.params, node.trainable_params, cost, flops, trained, trained * scale, node.weight_bytes))
    return _measurement(_tree(index, own), request, run, _operators(index, ledger, request), _unknown(index, ledger))


def _weights(index: ModuleIndex, position: int) -> Costs:
    node = index.nodes[position]
    return Costs(params=node.params, trainable_params=node.trainable_params, weight_bytes=node.weight_bytes)


def _measurement(
    root: ModuleCost,
    request: Request,
    run: Literal["shape", "real"] | None,
    operators: tuple[OperatorCost, ...],
    unknown: tuple[OperatorCost, ...],
) -> Measurement:
    total = root.total
    return Measurement(
        name=request.name,
        params=total.params,
        trainable_params=total.trainable_params,
        weight_bytes=total.weight_bytes,
        modules=root,
        macs=total.macs,
        flops=total.flops,
        training_macs=total.training_macs,
        training_flops=total.training_flops,
        inputs=request.inputs,
        flops_per_mac=request.flops_per_mac,
        operators=operators,
        unknown=unknown,
        run=run,
        named=request.named,
    )


def _tree(index: ModuleIndex, own: list[Costs]) -> ModuleCost:
    built: dict[int, ModuleCost] = {}
    for position in reversed(range(len(index.nodes))):  # children come after their parents
        node = index.nodes[position]
        children = tuple(built.pop(child) for child in node.children)
        total = Costs.sum([own[position], *[child.total for child in children]]) if children else own[position]
        kind = class_name(node.module)
        built[position] = ModuleCost(node.name, kind, node.calls, own[position], total, tuple(node.aliases), children)
    return built[0]


def _operators(index: ModuleIndex, ledger: Ledger, request: Request) -> tuple[OperatorCost, ...]:
    keys = sorted({**ledger.forward, **ledger.training}, key=lambda key: key[0])
    found = []
    for key in keys:
        calls, macs = ledger.forward.get(key, (0, 0))
        more_calls, more_macs = ledger.training.get(key, (0, 0))
        training = macs + more_macs if request.backward else None
        found.append(OperatorCost(key[1], index.nodes[key[0]].name, calls + more_calls, macs, training))
    return tuple(found)


def _unknown(index: ModuleIndex, ledger: Ledger) -> tuple[OperatorCost, ...]:
    return tuple(
        OperatorCost(name, index.nodes[position].name, calls, 0)
        for (position, name), (calls, _) in ledger.unknown.items()
    )
