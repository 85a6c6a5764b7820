"""What the architectures are given to run: each builder takes the configuration and returns the keyword inputs."""

from __future__ import annotations

from typing import Any

import torch

Inputs = dict[str, torch.Tensor]


def tokens(length: int = 12, high: int = 90) -> torch.Tensor:
    return torch.randint(3, high, (2, length))


def text(config: Any) -> Inputs:
    return {"input_ids": tokens(), "attention_mask": torch.ones(2, 12, dtype=torch.long)}


def padded_text(config: Any) -> Inputs:
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[1, 8:] = 0
    return {"input_ids": tokens(), "attention_mask": mask}


def ids_alone(config: Any) -> Inputs:
    return {"input_ids": tokens()}


def long_text(config: Any) -> Inputs:
    return {"input_ids": tokens(128), "attention_mask": torch.ones(2, 128, dtype=torch.long)}


def two_texts(config: Any) -> Inputs:
    return {"input_ids": tokens(), "decoder_input_ids": tokens(7)}


def image(config: Any) -> Inputs:
    size = getattr(config, "image_size", None) or 64
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return {"pixel_values": torch.randn(2, getattr(config, "num_channels", 3), height, width)}


def small_image(config: Any) -> Inputs:
    return {"pixel_values": torch.randn(1, 3, 64, 64)}


def waveform(config: Any) -> Inputs:
    return {"input_values": torch.randn(2, 4000)}


def spectrogram(config: Any) -> Inputs:
    return {"input_values": torch.randn(2, config.max_length, config.num_mel_bins)}


def spectrogram_and_text(config: Any) -> Inputs:
    return {
        "input_features": torch.randn(2, config.num_mel_bins, 2 * config.max_source_positions),
        "decoder_input_ids": tokens(7),
    }


def tiled_image_and_text(config: Any) -> Inputs:
    size = config.vision_config.image_size
    return {
        **text(config),
        "pixel_values": torch.randn(2, 1, 4, 3, size, size),
        "aspect_ratio_ids": torch.ones(2, 1, dtype=torch.long),
        "aspect_ratio_mask": torch.ones(2, 1, 4, dtype=torch.long),
        "cross_attention_mask": torch.ones(2, 12, 1, 4, dtype=torch.long),
    }


def image_and_text(config: Any) -> Inputs:
    size = config.vision_config.image_size
    return {**text(config), "pixel_values": torch.randn(2, 3, size, size)}
