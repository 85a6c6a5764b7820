"""The fixture: the models are built without their weights, counted, and held against pyproject.toml."""

import pytest
import torch

from pytest_modelbudget import BudgetExceeded
from zoo import MobileNetV2, ResNet50, ViTB16

IMAGE = (1, 3, 224, 224)


def test_every_model_keeps_its_budget(model_budget, build):
    """Parametrised over factories: each function's name is the name of its model."""
    model_budget(build, inputs=IMAGE)


@pytest.mark.parametrize(
    ("model", "name", "params", "macs"),
    [
        (ResNet50, "resnet50", 25_557_032, 4_089_184_256),
        (MobileNetV2, "mobilenetv2", 3_504_872, 300_774_272),
        (ViTB16, "vit_b_16", 86_567_656, 17_563_828_224),
    ],
)
def test_the_figures_of_the_readme(model_budget, model, name, params, macs):
    """What comes back are exact integers, for whatever else a test wants to say about them."""
    found = model_budget(model, inputs=IMAGE, name=name)
    assert (found.params, found.macs, found.flops) == (params, macs, 2 * macs)


def test_features_cost_no_more_than_scores(model_budget):
    """An instance, with keyword arguments; the limits of this call come on top of those in pyproject.toml."""
    model = ViTB16().eval()
    model_budget(model, torch.zeros(IMAGE), {"head": False}, name="vit_features", macs="17.57G")


@pytest.mark.budget(training_macs="13G")
def test_a_step_of_training(model_budget):
    """A limit on training makes the fixture run the backward pass too."""
    model_budget(ResNet50, inputs=IMAGE, name="resnet50_training")


@pytest.mark.xfail(raises=BudgetExceeded, strict=True, reason="too slow for tablets until it is distilled")
def test_vit_fits_a_tablet(model_budget):
    """A known excess: strict, so that the day on which it fits does not go unnoticed."""
    model_budget(ViTB16, inputs=IMAGE, name="vit_tablet", macs="9G")
