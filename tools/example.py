"""Run the example project as its users do, whatever is set here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "example_project"
_OURS = ("CI", "NO_COLOR", "FORCE_COLOR", "PYTEST_ADDOPTS")


def run_pytest(*options: str, folder: Path = EXAMPLE, passes: bool = True, **environment: str) -> str:
    """Run pytest in a folder, and return what it wrote. Raises RuntimeError where the tests end otherwise."""
    kept = {key: value for key, value in os.environ.items() if key not in _OURS and key[:7] != "GITHUB_"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**kept, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != (0 if passes else 1):
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
