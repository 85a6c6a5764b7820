"""What changed between two measurements, module by module."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.results.difference import differences


def block(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8))


def measured(**parts: nn.Module) -> Measurement:
    return measure(nn.Sequential(OrderedDict(parts)), input_size=(1, 8))


def told(before: Measurement, after: Measurement) -> list[tuple[str, tuple[str, ...], tuple[str, ...], int]]:
    (macs,) = [one for one in differences(before, after) if one.metric == "macs"]
    assert sum(change.amount for change in macs.changes) == macs.after - macs.before
    return [(one.kind, one.modules, one.moved_from, one.amount) for one in macs.changes]


def test_a_block_that_moved_into_a_container_is_named_as_a_whole() -> None:
    before = measured(block=block(), head=nn.Linear(8, 4))
    after = measured(stages=nn.Sequential(block()), head=nn.Linear(8, 5))
    assert told(before, after) == [("grew", ("head",), (), 8), ("moved", ("stages.0",), ("block",), 0)]


def test_blocks_that_moved_are_one_change() -> None:
    before = measured(h=nn.Sequential(block(), block()))
    after = measured(layers=nn.Sequential(block(), block(), nn.Linear(8, 1)))
    assert told(before, after) == [
        ("appeared", ("layers.2",), (), 8),
        ("moved", ("layers.0", "layers.1"), ("h.0", "h.1"), 0),
    ]


@pytest.mark.parametrize("first", ["single", "stages"])
def test_a_block_moves_whole_although_its_layers_are_found_elsewhere_too(first: str) -> None:
    parts = {"single": nn.Linear(8, 8), "stages": nn.Sequential(block())}
    after = measured(**{first: parts.pop(first)}, **parts)
    assert told(measured(block=block()), after) == [
        ("appeared", ("single",), (), 64),
        ("moved", ("stages.0",), ("block",), 0),
    ]


def test_of_a_block_that_changed_the_layers_that_did_not_have_moved() -> None:
    before = measured(block=block(8))
    after = measured(stages=nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 9))))
    assert told(before, after) == [
        ("appeared", ("stages.0.2",), (), 72),
        ("vanished", ("block.2",), (), -64),
        ("moved", ("stages.0.0",), ("block.0",), 0),
    ]
