"""Three well-known image classifiers, written from their papers."""

from zoo.mobilenetv2 import MobileNetV2
from zoo.resnet import ResNet50
from zoo.vit import ViTB16

__all__ = ["MobileNetV2", "ResNet50", "ViTB16"]
