"""Which tensors are plain."""

from __future__ import annotations

import torch

PLAIN = frozenset((torch.Tensor, torch.nn.Parameter, getattr(torch.nn, "Buffer", torch.nn.Parameter)))
"""The types of tensors without operators of their own."""
