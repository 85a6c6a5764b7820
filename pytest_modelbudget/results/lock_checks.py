"""What holds of every lock file that the plugin has written, and need not of one that was edited or merged by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from pytest_modelbudget.measurement import WHAT_NAMES_ARE, is_printable
from pytest_modelbudget.metrics import OF_THE_WHOLE, needing
from pytest_modelbudget.results.lock_lines import ModuleLine

_STATED: Final = ("params", "macs", "training_macs")
"""The metrics from which the others follow."""
_KEYS: Final = ("schema", "flops_per_mac", "models")


def check_keys(text: str) -> None:
    """Raise ValueError for JSON that lacks a key of a lock file, or has an object with a key twice."""
    found = json.loads(text, object_pairs_hook=_without_twins)
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise ValueError(f'it has no "{missing[0]}"')


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {json.dumps(key)} is there twice, as after a merge that took both sides")
        found[key] = value
    return found


def check_model(name: str, inputs: Sequence[tuple[str, ...]]) -> None:
    """Raise ValueError unless a model has a name that people can see, and one entry for each of its ``inputs``."""
    if not name or not is_printable(name):
        raise ValueError(f"the name {json.dumps(name)}: {WHAT_NAMES_ARE}")
    if not inputs:
        raise ValueError(f'"{name}" has no entry')
    for specs, times in Counter(inputs).items():
        _check_printable(name, specs)
        if times > 1:
            raise ValueError(f'"{name}" has two entries for the inputs {list(specs)}')


def check_entry(
    name: str,
    inputs: Sequence[str],
    metrics: Mapping[str, int],
    modules: Sequence[ModuleLine],
    sums: Mapping[str, int | None],
) -> None:
    """Raise ValueError unless the metrics are those that the modules add up to (``sums``), and none is missing."""
    for metric, value in metrics.items():
        if metric in OF_THE_WHOLE:
            continue
        if sums.get(metric) != value:
            raise ValueError(f'the modules of "{name}" add up to {metric} {sums.get(metric)}, not {value}')
    trained = bool(sums["training_macs"]) or any(metric in metrics for metric in needing("backward"))
    ran = trained or bool(sums["macs"] or inputs) or any(metric in metrics for metric in needing("forward"))
    measured = needing("weights", *["forward"] * ran, *["backward"] * trained)
    missing = [metric for metric in _STATED if metric in measured and metric not in metrics]
    if missing:
        raise ValueError(f'"{name}" lacks {", ".join(missing)} in its metrics')
    for line in modules:
        _check_printable(name, (unquote(line.name), line.cls, *line.aliases, *line.unknown))


def _check_printable(name: str, texts: Iterable[str]) -> None:
    """Raise ValueError for what a measurement would have escaped; unlike names of models it may end with a blank."""
    for text in texts:
        if not text.isprintable():
            raise ValueError(f'"{name}" has characters that cannot be printed in {json.dumps(text)}')
