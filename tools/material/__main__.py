"""Write every surface of the material to a folder: ``python -m tools.material [FOLDER]`` (default: build/material)."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.material.surfaces import write_surfaces

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/material")
for path, lines, letters in write_surfaces(folder):
    print(f"{lines:>6} lines {letters:>8} letters  {path}")
