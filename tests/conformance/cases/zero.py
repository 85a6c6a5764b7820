"""What costs no MACs: look-ups, norms, activations, pooling, softmax, interpolation, Fourier transforms, losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Family, ints, rand

cases = Family("zero")


def zero(name: str, args: Callable[[], Any], build: Callable[[], nn.Module], params: int = 0, **others: Any) -> None:
    cases.case(args, name=name, macs=0, params=params, training=0, **{"why": "no product", **others})(build)


def image() -> torch.Tensor:
    return rand(2, 4, 8, 8)


def tokens() -> torch.Tensor:
    return ints(2, 5, high=10)


zero("embedding", tokens, lambda: nn.Embedding(10, 16), 10 * 16, why="a look-up")
zero("embedding_with_padding", tokens, lambda: nn.Embedding(10, 16, padding_idx=0), 10 * 16, why="a look-up")
zero(
    "embedding_with_max_norm",
    tokens,
    lambda: nn.Embedding(10, 16, max_norm=1.0),
    10 * 16,
    why="a look-up, which rescales the weight in place",
)
zero("embedding_sparse", tokens, lambda: nn.Embedding(10, 16, sparse=True), 10 * 16, why="a look-up")
zero("embedding_bag_mean", tokens, lambda: nn.EmbeddingBag(10, 16), 10 * 16, why="look-ups and a mean")
zero(
    "embedding_bag_offsets",
    lambda: (ints(7, high=10), torch.tensor([0, 4])),
    lambda: nn.EmbeddingBag(10, 16, mode="sum"),
    10 * 16,
    why="look-ups and sums",
)
zero("embedding_bag_max", tokens, lambda: nn.EmbeddingBag(10, 16, mode="max"), 10 * 16, why="look-ups and a maximum")
zero("batch_norm", image, lambda: nn.BatchNorm2d(4), 8, why="element-wise; running statistics are buffers")
zero("batch_norm_1d", lambda: rand(4, 16), lambda: nn.BatchNorm1d(16), 32, why="element-wise")
zero("batch_norm_in_evaluation", image, lambda: nn.BatchNorm2d(4).eval(), 8, why="element-wise")
zero("instance_norm", image, lambda: nn.InstanceNorm2d(4, affine=True), 8, why="element-wise")
zero("layer_norm", lambda: rand(2, 5, 16), lambda: nn.LayerNorm(16), 32, why="element-wise")
zero("group_norm", image, lambda: nn.GroupNorm(2, 4), 8, why="element-wise")
zero("rms_norm", lambda: rand(2, 5, 16), lambda: nn.RMSNorm(16), 16, why="element-wise")
zero("local_response_norm", image, lambda: nn.LocalResponseNorm(2), why="squares and a pooled mean")
zero("prelu", image, lambda: nn.PReLU(4), 4, why="element-wise")

ACTIVATIONS = (nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.ELU, nn.Softplus, nn.Tanh, nn.GLU, nn.LogSigmoid)
zero("activations", image, lambda: nn.Sequential(*[kind() for kind in ACTIVATIONS]), why="element-wise")
zero("activations_in_place", image, lambda: nn.Sequential(nn.Hardtanh(inplace=True), nn.ReLU(True)), why="element-wise")
zero(
    "softmax", image, lambda: nn.Sequential(nn.Softmax(1), nn.LogSoftmax(1), nn.Softmin(1)), why="no products of pairs"
)
zero(
    "pooling",
    image,
    lambda: nn.Sequential(nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 1), nn.LPPool2d(2, 2), nn.AdaptiveAvgPool2d(2)),
    why="sums and maxima",
)
zero("adaptive_max_pool", image, lambda: nn.AdaptiveMaxPool2d((3, None)), why="maxima")
zero("fractional_max_pool", image, lambda: nn.FractionalMaxPool2d(2, output_size=4), why="maxima")
zero("pool_1d", lambda: rand(2, 4, 9), lambda: nn.Sequential(nn.MaxPool1d(2), nn.AvgPool1d(2)), why="sums and maxima")
zero(
    "pool_3d", lambda: rand(1, 2, 8, 8, 8), lambda: nn.Sequential(nn.MaxPool3d(2), nn.AvgPool3d(2)), why="sums, maxima"
)
for kind in ("nearest", "bilinear", "bicubic", "area"):
    zero(f"interpolate_{kind}", image, lambda kind=kind: nn.Upsample(scale_factor=2, mode=kind), why="not a product")
zero(
    "dropout_of_zero",
    image,
    lambda: nn.Sequential(nn.Dropout(0.0), nn.Dropout2d(0.0), nn.AlphaDropout(0.0)),
    why="element-wise",
)
zero("padding", image, lambda: nn.Sequential(nn.ZeroPad2d(1), nn.ReflectionPad2d(1), nn.CircularPad2d(1)), why="copies")
zero("flatten", image, lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 64))), why="views")


def expression(name: str, f: Callable[..., Any], args: Callable[[], Any], **others: Any) -> None:
    cases.expression(name, f, args=args, **{"macs": 0, "training": 0, "why": "no product", **others})


expression("fft", lambda x: torch.fft.irfft(torch.fft.rfft(x)), lambda: rand(2, 16), why="a Fourier transform: 0")
expression("fft_2d", lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real, image, why="a Fourier transform: 0")
expression(
    "stft",
    lambda x: torch.stft(x, 16, window=torch.hann_window(16, device=x.device), return_complex=True).abs(),
    lambda: rand(2, 64),
    why="a Fourier transform: 0",
)
expression(
    "grid_sample",
    lambda x: F.grid_sample(
        x, F.affine_grid(torch.eye(2, 3, device=x.device).expand(2, 2, 3), [2, 4, 5, 5], align_corners=False)
    ),
    image,
    why="interpolation, its grid included",
)
expression("sort", lambda x: x.sort(-1).values.topk(3).values, image, why="comparisons")
expression("gather", lambda x: x.gather(1, x.argmax(1, keepdim=True)) + x.cumsum(1), image, why="moves and sums")
expression("roll", lambda x: torch.roll(x, (1, 1), (2, 3)).permute(0, 2, 3, 1).flip(1), image, why="moves")
expression("one_hot", lambda x: F.one_hot(x, 10).float(), tokens, why="moves", varies={"meta": "one_hot checks values"})
expression("elementwise", lambda x: x * x + x / 2 - x.exp() ** 2, image, why="element-wise")
expression("lerp", lambda x: torch.lerp(x, x * 2, 0.5).addcmul(x, x), image, why="element-wise")
expression("statistics", lambda x: torch.stack((x.std(), x.var(), x.norm(), x.logsumexp((1, 2, 3)).sum())), image)
expression("pairwise_distance", F.pairwise_distance, lambda: (rand(4, 16), rand(4, 16)), why="element-wise, summed")
expression(
    "rotary",
    lambda x: torch.cat((x[..., :4] * x.cos()[..., :4], x[..., 4:].neg()), -1),
    lambda: rand(2, 5, 8),
    why="element-wise",
)


class WithLoss(nn.Module):
    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, labels) + F.mse_loss(logits, logits.detach() + 1)


zero("losses", lambda: (rand(4, 10), ints(4, high=10)), WithLoss, why="losses are element-wise and sums")
