"""Architectures of transformers: how to make each one tiny, and what it is given to run.

``default`` holds what the full-size configuration needs changed; it is empty for most, which are built as their
configuration class has them, without weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Options = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """A model type of transformers: options of its tiny and of its full configuration, and its inputs.

    ``needs_values`` is the reason why a shape run cannot measure it.
    """

    name: str
    tiny: Options
    inputs: Callable[[Any], dict[str, Any]]
    default: Options = field(default_factory=dict)
    needs_values: str = ""

    def config(self, *, tiny: bool) -> Any:
        """Return the tiny or the full configuration."""
        from transformers import CONFIG_MAPPING

        return CONFIG_MAPPING[self.name](**nested(self.tiny if tiny else self.default))


def nested(options: Options) -> Options:
    """Return the options with ``Config`` place-holders replaced by configurations."""
    return {name: value() if isinstance(value, Config) else value for name, value in options.items()}


@dataclass(frozen=True)
class Config:
    """A configuration inside another one."""

    name: str
    options: Options

    def __call__(self) -> Any:
        from transformers import CONFIG_MAPPING

        return CONFIG_MAPPING[self.name](**nested(self.options))
