"""Architectures for images and sound, alone and paired with text."""

from __future__ import annotations

from .architecture import Architecture as A
from .architecture import Config
from .inputs import (
    image,
    image_and_text,
    small_image,
    spectrogram,
    spectrogram_and_text,
    tiled_image_and_text,
    waveform,
)
from .options import BART, BERT, SPECIAL, VIT

WAV2VEC2 = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 4, 4),
    "conv_kernel": (10, 4, 4),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 32,
}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
RESNET = Config("resnet", {"embedding_size": 8, **STAGES, "out_features": ["stage4"]})
DETR = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 36,
    "decoder_ffn_dim": 36,
    "num_queries": 5,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
    "backbone_config": RESNET,
}
WITH_RESNET = {
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
    "backbone_config": Config("resnet", {"out_features": ["stage4"]}),
}
VISION = [A(name, VIT, image) for name in ("vit", "deit", "beit", "dinov2", "vit_mae")] + [
    A(
        "swin",
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
        image,
    ),
    A(
        "swinv2",
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
        image,
    ),
    A("convnext", STAGES, small_image),
    A("convnextv2", STAGES, small_image),
    A("resnet", {"embedding_size": 8, **STAGES}, small_image),
    A("regnet", {"embedding_size": 8, **STAGES, "groups_width": 4}, small_image),
    A(
        "segformer",
        {
            "hidden_sizes": [8, 16, 24, 32],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 4],
            "decoder_hidden_size": 16,
        },
        small_image,
    ),
    A("mobilenet_v1", {"depth_multiplier": 0.25, "min_depth": 8, "image_size": 32}, image),
    A("mobilenet_v2", {"depth_multiplier": 0.25, "image_size": 32}, image),
    A(
        "mobilevit",
        {"image_size": 64, "hidden_sizes": [16, 20, 24], "neck_hidden_sizes": [8, 8, 12, 16, 16, 20, 32]},
        image,
    ),
    A(
        "efficientnet",
        {"image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320},
        image,
    ),
    A("poolformer", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}, small_image),
    A(
        "pvt",
        {
            "image_size": 64,
            "hidden_sizes": [8, 16, 24, 32],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 4],
        },
        image,
    ),
    A(
        "focalnet",
        {
            "image_size": 32,
            "patch_size": 2,
            "embed_dim": 16,
            "hidden_sizes": [16, 32],
            "depths": [1, 2],
            "focal_levels": [2, 2],
            "focal_windows": [3, 3],
        },
        image,
    ),
    A(
        "glpn",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4]},
        small_image,
    ),
    A("detr", DETR, small_image, WITH_RESNET),
    A("conditional_detr", DETR, small_image, WITH_RESNET),
    A("vit_msn", VIT, image),
    A("yolos", {**VIT, "image_size": [32, 32]}, image),
]
SOUND = [A(name, WAV2VEC2, waveform) for name in ("wav2vec2", "hubert", "wavlm", "unispeech")] + [
    A(
        "whisper",
        {
            **BART,
            "num_mel_bins": 8,
            "max_source_positions": 20,
            "max_target_positions": 20,
            "decoder_start_token_id": 1,
        },
        spectrogram_and_text,
    ),
    A(
        "audio-spectrogram-transformer",
        {**VIT, "max_length": 32, "num_mel_bins": 16, "frequency_stride": 8, "time_stride": 8},
        spectrogram,
    ),
]
MLLAMA_TEXT = {
    **BERT,
    **SPECIAL,
    "num_key_value_heads": 2,
    "cross_attention_layers": [1],
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
}
MLLAMA_VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_global_layers": 1,
    "attention_heads": 4,
    "intermediate_size": 36,
    "intermediate_layers_indices": [0],
    "vision_output_dim": 64,
    "image_size": 28,
}
TINY_TEXT = {**BERT, **SPECIAL}
PAIRED = [
    A("clip", {"text_config": TINY_TEXT, "vision_config": VIT, "projection_dim": 16}, image_and_text),
    A("siglip", {"text_config": TINY_TEXT, "vision_config": VIT}, image_and_text),
    A(
        "mllama",
        {
            "text_config": Config("mllama_text_model", MLLAMA_TEXT),
            "vision_config": Config("mllama_vision_model", MLLAMA_VISION),
        },
        tiled_image_and_text,
    ),
]
