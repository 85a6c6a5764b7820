"""The models under the names by which the budgets in pyproject.toml call them."""

import pytest
from torch import nn

from zoo import MobileNetV2, ResNet50, ViTB16


def resnet50() -> nn.Module:
    return ResNet50()


def mobilenetv2() -> nn.Module:
    return MobileNetV2()


def vit_b_16() -> nn.Module:
    return ViTB16()


@pytest.fixture(params=[resnet50, mobilenetv2, vit_b_16], ids=lambda build: build.__name__)
def build(request: pytest.FixtureRequest):
    return request.param
