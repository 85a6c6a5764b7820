"""Every case is measured exactly right: by shapes and for real, from an instance and from a factory."""

from __future__ import annotations

import pytest

from pytest_modelbudget.counting import force_real_run, measure
from pytest_modelbudget.counting.shape_run.composites import without_composites

from .case import Case
from .checks import RUNS, assert_right, mode_of, way


def test_by_shapes(case: Case) -> None:
    model, (args, kwargs) = case.model(), case.inputs()
    with way("an instance"):
        found = measure(model, args, kwargs)
        assert_right(found, case, backward=False)
        assert found.run == ("real" if case.needs_values else "shape")
    with way("the instance again"):
        assert measure(model, args, kwargs) == found
    with way("without remembering composite operators, which is a shortcut"), without_composites():
        slow = measure(model, args, kwargs)
        assert (slow.macs, slow.modules, slow.run, slow.unknown) == (found.macs, found.modules, found.run, ())
        assert set(slow.operators) == set(found.operators)
    with way("a factory"):
        built = measure(case.build, args, kwargs, train=mode_of(model))
        assert_right(built, case, backward=False)
        assert built.run == ("real" if case.needs_values or case.build_needs_values else "shape")


def test_for_real(case: Case, runs: tuple[str, ...]) -> None:
    model, (args, kwargs) = case.model(), case.inputs()
    with way("an instance"):
        by_shapes = measure(model, args, kwargs)
        with force_real_run():
            found = measure(model, args, kwargs)
        assert_right(found, case, backward=False)
        assert found.run == "real"
    with way("the operators that shapes told"):
        assert set(by_shapes.operators) == set(found.operators)
    if "real" in runs:
        with way("a factory"), force_real_run():
            built = measure(case.build, args, kwargs, train=mode_of(model))
            assert_right(built, case, backward=False)
            assert built.run == "real"


def test_training(case: Case, runs: tuple[str, ...]) -> None:
    if case.training_macs is None:
        pytest.skip("training is not defined for this model")
    model, (args, kwargs) = case.model(), case.inputs()
    for run in RUNS:
        with way(f"an instance, {run}"), RUNS[run]():
            found = measure(model, args, kwargs, backward=True)
            assert_right(found, case, backward=True)
    for run in runs:
        with way(f"an instance twice, {run}"), RUNS[run]():
            first, second = (measure(model, args, kwargs, backward=True).as_dict() for _ in range(2))
            assert first == second
        with way(f"a factory, {run}"), RUNS[run]():
            assert_right(measure(case.build, args, kwargs, train=mode_of(model), backward=True), case, backward=True)
