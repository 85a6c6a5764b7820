"""Architectures for text: encoders, decoders, and both together."""

from __future__ import annotations

from .architecture import Architecture as A
from .inputs import ids_alone, long_text, padded_text, text, two_texts
from .options import BART, BERT, LLAMA, SPECIAL

GPT = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
T5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 36, "num_layers": 2, "num_heads": 4}
MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}
DEEPSEEK = {
    **LLAMA,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 16,
    "kv_lora_rank": 8,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 12,
    "topk_group": 1,
}
MAMBA = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}

ROUTING = "the router's choices become a list of Python numbers"

ENCODERS = [
    A(name, BERT, padded_text) for name in ("bert", "roberta", "electra", "ernie", "megatron-bert", "mpnet")
] + [
    A("albert", {**BERT, "embedding_size": 16}, text),
    A("camembert", BERT, text),
    A("xlm-roberta", BERT, text),
    A("layoutlm", BERT, text),
    A("deberta", {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, padded_text),
    A("deberta-v2", {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, padded_text),
    A("distilbert", {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 36}, padded_text),
    A("roformer", {**BERT, "embedding_size": 32}, text),
    A(
        "big_bird",
        {
            **BERT,
            "attention_type": "block_sparse",
            "block_size": 8,
            "num_random_blocks": 2,
            "max_position_embeddings": 256,
        },
        long_text,
    ),
    A("longformer", {**BERT, "attention_window": 8}, padded_text),
    A("convbert", {**BERT, "embedding_size": 16, "conv_kernel_size": 3}, text),
    A("mobilebert", {**BERT, "embedding_size": 32, "intra_bottleneck_size": 16, "num_feedforward_networks": 2}, text),
    A("xlnet", {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 36}, text),
    A("xlm", {"vocab_size": 99, "emb_dim": 32, "n_layers": 2, "n_heads": 4}, text),
    A("squeezebert", {**BERT, "embedding_size": 32}, text),
    A("fnet", BERT, ids_alone),
    A("modernbert", {**BERT, **SPECIAL, "cls_token_id": 1, "sep_token_id": 2}, padded_text),
    A("rembert", {**BERT, "input_embedding_size": 16}, text),
    A("ibert", BERT, text),
    A("nystromformer", {**BERT, "num_landmarks": 4, "segment_means_seq_len": 12}, text),
    A("yoso", BERT, text),
]
DECODERS = [
    A(name, LLAMA, padded_text) for name in ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "stablelm")
] + [
    A("gpt2", GPT, padded_text),
    A(
        "gpt_neo",
        {
            "vocab_size": 99,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
        },
        text,
    ),
    A("gpt_neox", BERT, text),
    A("gptj", {**GPT, "rotary_dim": 4}, text),
    A("gpt_bigcode", GPT, text),
    A("codegen", {**GPT, "rotary_dim": 4}, text),
    A("opt", {**BERT, "ffn_dim": 36, "word_embed_proj_dim": 32, **SPECIAL}, text),
    A("bloom", {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4}, text),
    A("falcon", {**BERT, "num_kv_heads": 2}, padded_text),
    A("mpt", {"vocab_size": 99, "d_model": 32, "n_layers": 2, "n_heads": 4}, text),
    A("phi", BERT, text),
    A("phi3", LLAMA, text),
    A("starcoder2", LLAMA, text),
    A("olmo", LLAMA, text),
    A("olmo2", LLAMA, text),
    A("cohere", LLAMA, text),
    A("granite", LLAMA, text),
    A("persimmon", BERT, text),
    A("xglm", {"vocab_size": 99, "d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 36}, text),
    A("biogpt", BERT, text),
    A("mixtral", {**LLAMA, **MOE}, text),
    A(
        "qwen2_moe",
        {
            **LLAMA,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
        text,
    ),
    A("olmoe", {**LLAMA, "num_experts": 4, "num_experts_per_tok": 2}, text),
    A("granitemoe", {**LLAMA, **MOE}, text),
    A("jetmoe", {**LLAMA, "kv_channels": 8, **MOE}, text, needs_values=ROUTING),
    A(
        "deepseek_v2",
        {**DEEPSEEK, "n_group": 1},
        text,
        {"num_experts_per_tok": 6, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 1408},
    ),
    A("deepseek_v3", {**DEEPSEEK, "n_group": 2}, text),
    A("mamba", MAMBA, ids_alone),
    A("mamba2", {**MAMBA, "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 8}, ids_alone),
    A("falcon_mamba", MAMBA, ids_alone),
    A("rwkv", {"vocab_size": 99, "hidden_size": 32, "attention_hidden_size": 32, "num_hidden_layers": 2}, ids_alone),
    A(
        "zamba",
        {
            **LLAMA,
            "attention_hidden_size": 64,
            "attention_head_dim": 16,
            "num_hidden_layers": 6,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 8,
            "n_mamba_heads": 2,
            "num_key_value_heads": 4,
            "use_mamba_kernels": False,
        },
        ids_alone,
    ),
    A(
        "jamba",
        {
            **LLAMA,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
        ids_alone,
    ),
    A("recurrent_gemma", {**LLAMA, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16}, ids_alone),
]
SHORT = {"max_position_embeddings": 128}  # their tables of sines are filled by a loop in Python

BOTH = [A(name, BART, two_texts) for name in ("bart", "mbart", "m2m_100", "blenderbot")] + [
    A("pegasus", BART, two_texts, SHORT),
    A("marian", BART, two_texts, SHORT),
    A(
        "led",
        {**BART, "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64, "attention_window": 8},
        two_texts,
    ),
    A("t5", T5, two_texts),
    A("mt5", T5, two_texts),
    A("umt5", T5, two_texts),
    A("longt5", {**T5, "local_radius": 3}, two_texts),
    A(
        "switch_transformers",
        {**T5, "num_experts": 4, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
        two_texts,
        needs_values=ROUTING,
    ),
    A(
        "prophetnet",
        {
            "vocab_size": 99,
            "hidden_size": 32,
            "num_encoder_layers": 2,
            "num_decoder_layers": 2,
            "num_encoder_attention_heads": 4,
            "num_decoder_attention_heads": 4,
            "encoder_ffn_dim": 36,
            "decoder_ffn_dim": 36,
            "max_position_embeddings": 64,
        },
        two_texts,
    ),
    A("bigbird_pegasus", {**BART, "attention_type": "original_full"}, two_texts),
]
