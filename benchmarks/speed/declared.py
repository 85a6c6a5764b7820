"""Declared models: a project of 100 of them, and a Llama of 70 billion parameters, from the import of torch to the end.

``python -m benchmarks.speed.declared`` makes both projects in a temporary folder, and runs pytest in each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "example_project"
CONFTEST = """
import time
import torch
from transformers import LlamaForCausalLM

began = time.perf_counter()

def pytest_sessionfinish():
    print(f"\\nseconds after the import: {time.perf_counter() - began:.2f}")
"""
LLAMA = """
from transformers import LlamaConfig, LlamaForCausalLM

def llama_70b():
    return LlamaForCausalLM(LlamaConfig(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=128256))
"""


def hundred() -> str:
    """Return a table of 100 models: three architectures of the example project, each at many sizes."""
    factories = ["ResNet50", "MobileNetV2", "ViTB16"]
    entries = []
    for number in range(100):
        factory = factories[number % 3]
        side = 224 if factory == "ViTB16" else 96 + 32 * (number // 3 % 20)
        batch = 1 + number // 3
        entries.append(
            f'[tool.modelbudget.models.model_{number}]\nfactory = "zoo:{factory}"\n'
            f'inputs = "{batch}x3x{side}x{side}"\nparams = "100M"\n'
        )
    return "\n".join(entries)


def run(folder: Path, table: str) -> str:
    """Return the last lines of pytest in a project with this table."""
    (folder / "pyproject.toml").write_text(table)
    (folder / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("seconds") or " passed" in line]
    return "; ".join(told) or done.stdout + done.stderr


def main() -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "zoo").symlink_to(EXAMPLE / "zoo")
        print("100 declared models:", run(folder, hundred()))
        (folder / "llama.py").write_text(LLAMA)
        entry = 'factory = "llama:llama_70b"\ninputs = "1x4096 int64"\nparams = "71B"\n'
        print("Llama 70B:", run(folder, f"[tool.modelbudget.models.llama_70b]\n{entry}"))


if __name__ == "__main__":
    main()
