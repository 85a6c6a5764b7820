"""The peak memory of a forward pass as ``peak_bytes`` and as torch's MemTracker have it, on the CPU without gradients.

``python -m benchmarks.peers.memory``: the figures of docs/comparison.md.
"""

from __future__ import annotations

from collections.abc import Callable
from platform import python_version

import torch
from tabulate import tabulate
from torch import nn
from torch.distributed._tools.mem_tracker import MemTracker

from benchmarks.speed.models import MODELS, Factory, hf, image
from pytest_modelbudget import measure


def chain() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))


def resnet18() -> nn.Module:
    widths = [64, 128, 256, 512]
    config = hf.ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=widths, num_labels=1000)
    model: nn.Module = hf.ResNetForImageClassification(config)
    return model


COMPARED: dict[str, tuple[Factory, Callable[[], torch.Tensor]]] = {
    "chain": (chain, lambda: torch.zeros(4, 8)),
    "resnet18": (resnet18, image),
    "resnet50": MODELS["resnet50"],
    "vit_b_16": MODELS["vit_b_16"],
}


def tracked(factory: Factory, inputs: torch.Tensor) -> dict[str, int]:
    """Return what MemTracker has at its peak, by category."""
    model, tracker = factory().eval(), MemTracker()
    tracker.track_external(model, inputs)
    with torch.no_grad(), tracker:
        model(inputs)
    snapshot = tracker.get_tracker_snapshot("peak")[inputs.device]
    return {str(getattr(category, "value", category)): nbytes for category, nbytes in snapshot.items()}


def main() -> None:
    rows = []
    for name, (factory, inputs) in COMPARED.items():
        found = measure(factory, inputs(), name=name, memory=True)
        theirs = tracked(factory, inputs())
        weights = theirs["Parameter"] + theirs["Buffer"]
        figures = (found.peak_bytes, theirs["Activation"], theirs["Other"], weights, theirs["Total"])
        rows.append((name, *(f"{figure:,}" for figure in figures)))
    headers = ["model", "peak_bytes", "MemTracker: activations", "input", "weights, buffers", "total"]
    print(tabulate(rows, headers, "github", colalign=("left", *("right",) * 5), disable_numparse=True))
    print(f"\nbytes; Python {python_version()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
