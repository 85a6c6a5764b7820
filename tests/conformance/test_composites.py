"""Remembering composite operators is a shortcut: without it, every case has the same cost and the same operators."""

from __future__ import annotations

from pytest_modelbudget.counting import measure
from pytest_modelbudget.counting.shape_run.composites import without_composites

from .case import Case


def test_counts_are_equal_with_the_shortcut_and_without_it(case: Case) -> None:
    args, kwargs = case.inputs()
    model = case.model()
    with without_composites():
        without = measure(model, args, kwargs)
    found = measure(model, args, kwargs)
    assert (found.macs, found.modules, found.run) == (without.macs, without.modules, without.run)
    assert set(found.operators) == set(without.operators)
    assert found.unknown == without.unknown
