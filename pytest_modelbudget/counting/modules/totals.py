"""Turn the ledger of a run into a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import add
from typing import Any, Literal

import torch
from msgspec.structs import replace

from pytest_modelbudget.counting.modules.graphs import exported_classes
from pytest_modelbudget.counting.modules.index import ModuleIndex, ModuleNode, class_name
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.measurement import (
    CollectiveCost,
    Costs,
    Measurement,
    MeasurementError,
    Mode,
    ModuleCost,
    OperatorCost,
    TensorSpec,
)


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
    unknown = tuple(OperatorCost(name, index.nodes[position].name, 1, 0) for position, name in index.unopened)
    return _measurement(_tree(index, None, None, request), request, None, (), unknown)


def measurement(
    index: ModuleIndex,
    ledger: Ledger,
    request: Request,
    run: Literal["shape", "real"],
    mode: Mode | None,
    lifetimes: Any = None,
) -> Measurement:
    """Return the measurement of a run, for which the model was in ``mode``."""
    if ledger.traced_under and not (ledger.unknown or any(macs for _, macs in ledger.forward.values())):
        raise MeasurementError(f"no model was measured: it ran under {ledger.traced_under}, where nothing is computed")
    # TorchScript runs some operators without the dispatcher, so no mode has counted them.
    unseen = index.unseen_operators() if index.has_scripted_modules() else ()
    for position, operator in (*index.unopened, *unseen):
        ledger.charge_unknown(position, operator)
    macs = [0] * len(index.nodes)
    for (position, _), (_, count) in ledger.forward.items():
        macs[position] += count
    training = list(macs) if request.backward else None
    if training is not None:
        for (position, _), (_, count) in ledger.backward.items():
            training[position] += count
    root = _tree(index, macs, training, request)
    found = _measurement(root, request, run, _operators(index, ledger, request), _unknown(index, ledger))
    unplaced = {(index.nodes[position].name, name) for position, name in ledger.unplaced}
    memory = None if lifetimes is None else lifetimes.cost(index)
    collectives = [
        CollectiveCost(kind, index.nodes[position].name, calls, nbytes)
        for (position, kind), (calls, nbytes) in sorted(ledger.collectives.items())
    ]
    return replace(
        found,
        mode=mode,
        collectives=(*collectives,),
        memory=memory,
        peak_bytes=None if memory is None else memory.peak_bytes,
        unplaced=tuple(operator for operator in found.operators if (operator.module, operator.name) in unplaced),
    )


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


def _tree(index: ModuleIndex, macs: list[int] | None, training: list[int] | None, request: Request) -> ModuleCost:
    """Return the tree of modules; ``macs`` and ``training`` are their own MACs, or None where nothing was run."""
    nodes, scale = index.nodes, request.flops_per_mac

    def costs(params: int, trainable: int, weight_bytes: int, forward: int, trained: int) -> Costs:
        return Costs(
            params,
            trainable,
            None if macs is None else forward,
            None if macs is None else forward * scale,
            None if training is None else trained,
            None if training is None else trained * scale,
            weight_bytes,
        )

    own: list[tuple[int, ...]] = [
        (node.params, node.trainable_params, node.weight_bytes, forward, trained)
        for node, forward, trained in zip(nodes, macs or repeat(0), training or repeat(0), strict=False)
    ]
    totals, names = _with_children(own, nodes), _class_names(nodes)
    built: dict[int, ModuleCost] = {}
    for position in reversed(range(len(nodes))):  # children come after their parents in the list
        node = nodes[position]
        alone = whole = costs(*own[position])
        if node.children:
            whole = costs(*totals[position])
        children = tuple([built[child] for child in node.children])
        built[position] = ModuleCost(
            node.name, names[position], node.calls, alone, whole, node.aliases, children, node.outputs or ()
        )
    return built[0]


def _with_children(own: list[tuple[int, ...]], nodes: Sequence[ModuleNode]) -> list[tuple[int, ...]]:
    """Return what each module costs with everything below it."""
    totals = list(own)
    for position in reversed(range(len(nodes))):
        for child in nodes[position].children:
            totals[position] = tuple(map(add, totals[position], totals[child]))
    return totals


def _class_names(nodes: Sequence[ModuleNode]) -> list[str]:
    known: dict[type, str] = {}
    exported = exported_classes(nodes[0].module)
    names = []
    for node in nodes:
        kind = type(node.module)
        name = exported.get(node.name) or known.get(kind)
        if name is None:
            name = class_name(node.module)
            if not isinstance(node.module, torch.jit.ScriptModule):  # all scripted modules have one type
                known[kind] = name
        names.append(name)
    return names


def _operators(index: ModuleIndex, ledger: Ledger, request: Request) -> tuple[OperatorCost, ...]:
    found = []
    for key in sorted({**ledger.forward, **ledger.backward}, key=_position):
        calls, macs = ledger.forward.get(key, (0, 0))
        backward_calls, backward_macs = ledger.backward.get(key, (0, 0))
        training = macs + backward_macs if request.backward else None
        position, name = key
        found.append(OperatorCost(name, index.nodes[position].name, calls + backward_calls, macs, training))
    return tuple(found)


def _unknown(index: ModuleIndex, ledger: Ledger) -> tuple[OperatorCost, ...]:
    return tuple(
        OperatorCost(name, index.nodes[position].name, ledger.unknown[position, name][0], 0)
        for position, name in sorted(ledger.unknown, key=_position)
    )


def _position(key: tuple[int, str]) -> int:
    """Return the position of the module; within one, operators stay in the order in which they first ran."""
    return key[0]
