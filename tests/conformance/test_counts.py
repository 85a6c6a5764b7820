"""Every case is measured exactly right: by shapes and for real, from an instance and from a factory."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from pytest_modelbudget.counting import force_real_run, measure

from .case import Case
from .checks import assert_right

RUNS = {"shape": nullcontext, "real": force_real_run}


@pytest.mark.parametrize("run", RUNS)
def test_instance(case: Case, run: str) -> None:
    args, kwargs = case.inputs()
    with RUNS[run]():
        found = measure(case.model(), args, kwargs)
    assert_right(found, case, backward=False)
    assert found.run == ("real" if case.needs_values else run)


@pytest.mark.parametrize("run", RUNS)
def test_factory(case: Case, run: str) -> None:
    args, kwargs = case.inputs()
    with RUNS[run]():
        found = measure(case.build, args, kwargs)
    assert_right(found, case, backward=False)
    assert found.run == ("real" if case.needs_values or case.build_needs_values else run)


@pytest.mark.parametrize("run", RUNS)
def test_training(case: Case, run: str) -> None:
    if case.training_macs is None:
        pytest.skip("training is not defined for this model")
    args, kwargs = case.inputs()
    with RUNS[run]():
        of_instance = measure(case.model(), args, kwargs, backward=True)
        of_factory = measure(case.build, args, kwargs, backward=True)
    assert_right(of_instance, case, backward=True)
    assert_right(of_factory, case, backward=True)


def test_shapes_tell_which_operators_really_run(case: Case) -> None:
    args, kwargs = case.inputs()
    model = case.model()
    first, again = measure(model, args, kwargs), measure(model, args, kwargs)
    with force_real_run():
        real = measure(model, args, kwargs)
    assert first == again
    assert set(first.operators) == set(real.operators)
