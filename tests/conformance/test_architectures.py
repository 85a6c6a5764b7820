"""Real architectures: built without weights and measured by shapes; a tiny one of each agrees with its real run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from pytest_modelbudget.counting import force_real_run, measure

from .architectures import ARCHITECTURES, Architecture
from .checks import assert_sums, counts

transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.usefixtures("not_covered"), pytest.mark.slow]
MUST = (
    "bart deberta-v2 bert llama mixtral deepseek_v3 mamba2 swin detr whisper wav2vec2 clip t5 gpt2 falcon mllama "
    "segformer convnextv2 longformer big_bird rwkv zamba jetmoe"
)


@pytest.fixture(autouse=True, scope="module")
def silent_and_offline() -> Iterator[None]:
    from transformers.utils import logging

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        before = logging.get_verbosity()
        logging.set_verbosity_error()
        yield
        logging.set_verbosity(before)


def factory(architecture: Architecture, *, tiny: bool) -> Callable[[], nn.Module]:
    """Return a factory of the model, in evaluation: LayerDrop and masked spectra make training a matter of chance."""
    config = architecture.config(tiny=tiny)
    return lambda: transformers.AutoModel.from_config(config).eval()


def test_there_are_enough_architectures() -> None:
    names = [architecture.name for architecture in ARCHITECTURES]
    assert len(set(names)) == len(names) >= 100
    assert set(MUST.split()) <= set(names)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_tiny_by_shapes_and_for_real(architecture: Architecture) -> None:
    torch.manual_seed(0)
    build = factory(architecture, tiny=True)
    inputs = architecture.inputs(architecture.config(tiny=True))
    by_shapes = measure(build, kwargs=inputs)
    with force_real_run():
        for_real = measure(build(), kwargs=inputs)
    assert by_shapes.unknown == ()
    assert counts(by_shapes) == counts(for_real)
    if not architecture.needs_values:  # otherwise the values of two builds choose what runs
        assert set(by_shapes.operators) == set(for_real.operators)
    assert by_shapes.run == ("real" if architecture.needs_values else "shape")
    assert by_shapes.macs
    assert_sums(by_shapes)
    assert_sums(for_real)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_full_size_without_weights(architecture: Architecture) -> None:
    if architecture.needs_values:
        pytest.skip(architecture.needs_values)
    found = measure(factory(architecture, tiny=False), kwargs=architecture.inputs(architecture.config(tiny=False)))
    assert (found.run, found.unknown) == ("shape", ())
    assert found.macs
    assert_sums(found)
