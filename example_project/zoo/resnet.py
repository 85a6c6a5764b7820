"""ResNet-50: He et al., Deep Residual Learning for Image Recognition, 2015 (arXiv:1512.03385), table 1."""

from __future__ import annotations

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times the width, around a shortcut.

    The stride is in the 3x3 convolution, as in all implementations since; the paper had it in the first 1x1.
    """

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = width * self.expansion
        self.reduce = _convolution(channels_in, width, 1)
        self.spatial = _convolution(width, width, 3, stride)
        self.expand = _convolution(width, channels_out, 1)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels_in == channels_out
            else _convolution(channels_in, channels_out, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x).relu()
        y = self.spatial(y).relu()
        return (self.expand(y) + self.shortcut(x)).relu()


class ResNet50(nn.Module):
    """Images of 3 channels to the scores of ``classes``."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        stages, channels = [], 64
        for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            blocks = []
            for index in range(depth):
                blocks.append(Bottleneck(channels, width, stride if index == 0 else 1))
                channels = width * Bottleneck.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.classify = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.stages(self.stem(x))
        scores: Tensor = self.classify(features.mean(dim=(2, 3)))
        return scores


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))
