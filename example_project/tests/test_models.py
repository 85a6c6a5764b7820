"""Tests as they were before anyone thought of budgets; a mark is all that was added."""

import pytest
import torch

from zoo import MobileNetV2, ResNet50, ViTB16


@pytest.mark.budget(params="25.6M", macs="16.4G", name="resnet50_batch_4")
def test_resnet50_scores_every_image():
    assert ResNet50()(torch.zeros(4, 3, 224, 224)).shape == (4, 1000)


@pytest.mark.budget(params="3.6M")
class TestMobileNetV2:
    """A mark on the class is for all of its tests; the closest mark wins, metric by metric."""

    @pytest.mark.budget(macs="310M")
    def test_it_takes_the_images_of_the_paper(self):
        assert MobileNetV2()(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)

    @pytest.mark.budget(macs="100M")
    def test_it_takes_small_images_too(self):
        assert MobileNetV2()(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)


@pytest.mark.budget(name="vit_b_16", macs="17.6G")
def test_vit_gives_features():
    assert ViTB16().eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
