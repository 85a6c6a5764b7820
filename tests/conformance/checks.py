"""What must be true of every measurement of a case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from msgspec import structs
from torch import nn

from pytest_modelbudget.counting import force_real_run
from pytest_modelbudget.measurement import Costs, Measurement

from .case import Case

RUNS = {"shape": nullcontext, "real": force_real_run}


@contextmanager
def way(name: str) -> Iterator[None]:
    """Say of whatever fails inside by which way the case was measured."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error


def mode_of(model: nn.Module) -> bool | None:
    """Return the mode in which to measure a factory of an instance: its own, None where an exported program has none."""
    return None if "train" in vars(model) else model.training


def counts(found: Measurement) -> tuple[int | None, ...]:
    """Return what two measurements of one model must agree on."""
    return found.params, found.trainable_params, found.macs, found.training_macs, found.weight_bytes


def assert_right(found: Measurement, case: Case, *, backward: bool) -> None:
    """Hold a measurement against the hand-derived truth and against itself."""
    expected = {
        "params": case.params,
        "trainable_params": case.trainable_params,
        "macs": case.macs,
        "flops": 2 * case.macs,
        "training_macs": case.training_macs if backward else None,
        "training_flops": 2 * case.training_macs if backward and case.training_macs is not None else None,
        "unknown": (),
    }
    assert {name: getattr(found, name) for name in expected} == expected, case.why
    assert_sums(found)


def added(parts: list[Costs]) -> Costs:
    """Add up costs metric by metric, independently of the package; what was not measured is None throughout."""
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in structs.fields(Costs)}
    sums: dict[str, Any] = {name: None if None in values else sum(values) for name, values in columns.items()}
    return Costs(**sums)


def assert_sums(found: Measurement) -> None:
    """Check that tree and operator table add up to the model's totals, to the last MAC."""
    nodes = list(found.modules.walk())
    assert len({node.name for node in nodes}) == len(nodes), "a module appears twice"
    totals = {field.name: getattr(found, field.name) for field in structs.fields(Costs)}
    for field in totals:
        assert getattr(added([node.own for node in nodes]), field) == totals[field], f"own {field}"
        assert getattr(found.modules.total, field) == totals[field], f"total {field}"
    for node in nodes:
        assert node.total == added([node.own, *(child.total for child in node.children)]), node.name
    names = {node.name for node in nodes}
    assert {operator.module for operator in found.operators} <= names
    assert sum(operator.macs for operator in found.operators) == (found.macs or 0)
    if found.training_macs is not None:
        assert sum(operator.training_macs or 0 for operator in found.operators) == found.training_macs
    for node in nodes:
        of_node = sum(operator.macs for operator in found.operators if operator.module == node.name)
        assert of_node == (node.own.macs or 0), node.name
