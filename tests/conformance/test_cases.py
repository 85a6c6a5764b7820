"""The cases themselves: enough of them, each with its own name, and each a model that plain torch runs."""

from __future__ import annotations

import pytest
import torch

from .case import Case
from .cases import CASES, FAMILIES
from .tensors import tensors_of

pytestmark = pytest.mark.usefixtures("not_covered")


def test_there_are_enough_cases_and_each_has_its_own_name() -> None:
    assert len(CASES) >= 300
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_exemptions_are_known_and_have_a_reason() -> None:
    for case in CASES:
        assert set(case.varies) <= {"mode", "grad", "meta", "fast_path", "cuda"}, case.name
        assert all((case.why, *case.varies.values())), case.name


def test_plain_torch_runs_it_and_its_params_are_as_stated(case: Case) -> None:
    assert_twins(case.model(), case.model())
    model, (args, kwargs) = case.model(), case.inputs()
    outputs = model(*args, **kwargs)
    if [*model.parameters()] or not case.name.startswith("quantised-"):  # packed weights are no parameters
        assert sum(weight.numel() for weight in model.parameters()) == case.params
    assert sum(weight.numel() for weight in model.parameters() if weight.requires_grad) == case.trainable_params
    ends = [end for end in tensors_of(outputs) if end.requires_grad and end.is_floating_point()]
    if case.training_macs is not None and ends:
        torch.autograd.backward(ends, [torch.ones_like(end) for end in ends])


def assert_twins(first: torch.nn.Module, second: torch.nn.Module) -> None:
    """Check that the same seed gave the same weights, so that two builds are twins."""
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        if isinstance(one, torch.Tensor) and not isinstance(one, torch.nn.parameter.UninitializedTensorMixin):
            assert (
                torch.equal(one.to_dense(), other.to_dense())
                if one.layout is not torch.strided
                else torch.equal(one, other)
            )
