"""Attention. softmax(Q @ K.T) @ V over L queries and S keys, E and Ev wide: L*S*(E + Ev) MACs per head and batch.

The full product is counted, also where a mask hides positions. The backward is dV = P.T @ dO, dP = dO @ V.T,
dQ = dS @ K and dK = dS.T @ Q: 2*L*S*(E + Ev); kernels that save memory by computing P again are not charged for it, so
that the count does not depend on the kernel. Source: the signatures in ATen's ``native_functions.yaml``.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from pytest_modelbudget.counting.operators.registry import Shape, counts
from pytest_modelbudget.counting.torch_private import nested_sizes


def attention(query: Shape, key: Shape, value: Shape) -> int:
    """Count queries (..., H, L, E), keys (..., Hkv, S, E) and values (..., Hkv, S, Ev); H heads share Hkv of them."""
    return int(prod(query[:-1]) * key[-2] * (query[-1] + value[-1]))


@counts(
    "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_efficient_attention",
    "aten::_scaled_dot_product_cudnn_attention",
    "aten::_scaled_dot_product_fused_attention_overrideable",
    "aten::_scaled_dot_product_attention_math_for_mps",
    "aten::_triton_scaled_dot_attention",
)
def sdpa(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Count scaled_dot_product_attention, whatever backend runs it."""
    return attention(query, key, value)


@counts(
    "aten::_scaled_dot_product_flash_attention_backward",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
    "aten::_scaled_dot_product_efficient_attention_backward",
    "aten::_scaled_dot_product_cudnn_attention_backward",
    "aten::_scaled_dot_product_fused_attention_overrideable_backward",
)
def sdpa_backward(grad: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Count the four products of the backward: twice the forward."""
    return 2 * attention(query, key, value)


def varlen(query: Shape, key: Shape, value: Shape, cum_q: Any, cum_k: Any, heads: int) -> int:
    """Count sequences packed one behind the other: the sum over them of L*S*(E + Ev) per head."""
    lengths_q = [int(length) for length in cum_q.diff().tolist()]
    lengths_k = [int(length) for length in cum_k.diff().tolist()]
    pairs = sum(a * b for a, b in zip(lengths_q, lengths_k, strict=True))
    return heads * pairs * (int(query[-1]) + int(value[-1]))


def _sequence_first(query: Any, key: Any, value: Any, cum_q: Any, cum_k: Any) -> int:
    """Count tensors laid out (B, L, H, E), or (tokens, H, E) with cumulative lengths, as these kernels take them."""
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if cum_q is not None:
        return varlen(q, k, v, cum_q, cum_k, heads=q[-2])
    return int(prod(q[:-1]) * k[-3] * (q[-1] + v[-1]))


@counts("aten::_flash_attention_forward", takes_tensors=True)
def flash_attention(query: Any, key: Any, value: Any, cum_q: Any, cum_k: Any, *_: Any, **__: Any) -> int:
    """Count flash attention on (B, L, H, E) tensors or packed sequences; needs the lengths' values where packed."""
    return _sequence_first(query, key, value, cum_q, cum_k)


@counts("aten::_efficient_attention_forward", takes_tensors=True)
def efficient_attention(query: Any, key: Any, value: Any, bias: Any, cum_q: Any, cum_k: Any, *_: Any, **__: Any) -> int:
    """Count memory-efficient attention on (B, L, H, E) tensors or packed sequences."""
    return _sequence_first(query, key, value, cum_q, cum_k)


@counts("aten::_cudnn_attention_forward", takes_tensors=True)
def cudnn_attention(query: Any, key: Any, value: Any, bias: Any, cum_q: Any, cum_k: Any, *_: Any, **__: Any) -> int:
    """Count cuDNN's attention: (B, H, L, E) tensors, or packed (tokens, H, E) with cumulative lengths."""
    if cum_q is not None:
        return _sequence_first(query, key, value, cum_q, cum_k)
    return attention(tuple(query.shape), tuple(key.shape), tuple(value.shape))


@counts(
    "aten::_cudnn_attention_forward_no_dropout_inplace",
    "aten::_flash_attention_forward_no_dropout_inplace",
    takes_tensors=True,
)
def attention_in_place(
    target: Any, query: Any, key: Any, value: Any, cum_q: Any, cum_k: Any, *_: Any, block_table: Any = None, **__: Any
) -> int | None:
    """Count attention that is written into a given tensor; where keys are in pages, shapes do not tell how many."""
    return None if block_table is not None else _sequence_first(query, key, value, cum_q, cum_k)


@counts("aten::_flash_attention_backward", takes_tensors=True)
def flash_attention_backward(
    grad: Any, query: Any, key: Any, value: Any, output: Any, logsumexp: Any, cum_q: Any, cum_k: Any, *_: Any, **__: Any
) -> int:
    """Count the four products of the backward: twice the forward."""
    return 2 * _sequence_first(query, key, value, cum_q, cum_k)


@counts("aten::_efficient_attention_backward", takes_tensors=True)
def efficient_attention_backward(
    grad: Any, query: Any, key: Any, value: Any, bias: Any, output: Any, cum_q: Any, cum_k: Any, *_: Any, **__: Any
) -> int:
    """Count the four products of the backward: twice the forward."""
    return 2 * _sequence_first(query, key, value, cum_q, cum_k)


@counts("aten::_cudnn_attention_backward", takes_tensors=True)
def cudnn_attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    output: Any,
    logsumexp: Any,
    seed: Any,
    offset: Any,
    bias: Any,
    cum_q: Any,
    cum_k: Any,
    *_: Any,
    **__: Any,
) -> int:
    """Count the four products of the backward: twice the forward."""
    return 2 * cudnn_attention(query, key, value, bias, cum_q, cum_k)


@counts("torch_attn::_varlen_attn", "torch_attn::_varlen_attn_out", takes_tensors=True)
@counts("torch_attn::_varlen_attn_backward", takes_tensors=True)
def varlen_attention(*args: Any, **_: Any) -> int | None:
    """Count ``varlen_attn`` by the starts of its sequences; twice for the backward, which takes more tensors."""
    tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    starts = [tensor for tensor in tensors if not tensor.is_floating_point()][:2]
    once = _sequence_first(*floats[len(floats) > 3 :][:3], *starts) if len(starts) == 2 else None
    return once and once * (1 + (len(floats) > 4))


def _padded(tokens: Any) -> tuple[int, int]:
    """Return (batch, longest sequence) of a (B, L, D) tensor; a nested one stands for the padded one it came from."""
    if tokens.is_nested:
        lengths = nested_sizes(tokens)[:, 0]
        return int(lengths.numel()), int(lengths.max())
    return int(tokens.shape[0]), int(tokens.shape[1])


def _multi_head_attention(query: Any, key: Any, value: Any, embed_dim: int) -> int:
    """Count the fused layer: input projections, attention over all heads (E = Ev = D/H), output projection.

    (L + 2*S)*D*D + 2*L*S*D + L*D*D per sequence of the batch.
    """
    batch, length = _padded(query)
    keys = _padded(key)[1]
    projections = (length + _padded(key)[1] + _padded(value)[1]) * embed_dim * embed_dim
    return batch * (projections + 2 * length * keys * embed_dim + length * embed_dim * embed_dim)


@counts("aten::_native_multi_head_attention", "aten::_triton_multi_head_attention", takes_tensors=True)
def native_multi_head_attention(query: Any, key: Any, value: Any, embed_dim: int, *_: Any, **__: Any) -> int:
    """Count the fast path of ``nn.MultiheadAttention``."""
    return _multi_head_attention(query, key, value, embed_dim)


@counts("aten::_transformer_encoder_layer_fwd", takes_tensors=True)
def transformer_encoder_layer(src: Any, embed_dim: int, *args: Any, ffn_weight_1: Any = None, **_: Any) -> int:
    """Count the fast path of ``nn.TransformerEncoderLayer``: self-attention and two linear maps, D to F and back."""
    weight = args[13] if ffn_weight_1 is None else ffn_weight_1
    batch, length = _padded(src)
    return _multi_head_attention(src, src, src, embed_dim) + 2 * batch * length * embed_dim * int(weight.shape[0])
