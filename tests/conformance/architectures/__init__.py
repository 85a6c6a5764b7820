"""Real architectures of transformers: a table of how to make each one tiny, and what to run it on."""

from __future__ import annotations

from .architecture import Architecture
from .language import BOTH, DECODERS, ENCODERS
from .perception import PAIRED, SOUND, VISION

ARCHITECTURES: tuple[Architecture, ...] = (*ENCODERS, *DECODERS, *BOTH, *VISION, *SOUND, *PAIRED)
