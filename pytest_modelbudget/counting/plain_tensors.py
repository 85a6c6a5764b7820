"""Plain tensors: those whose type has no operators of its own."""

from __future__ import annotations

import torch

PLAIN_TYPES = frozenset((torch.Tensor, torch.nn.Parameter, getattr(torch.nn, "Buffer", torch.nn.Parameter)))
