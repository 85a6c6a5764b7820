"""``python -m pytest_modelbudget`` is the command ``modelbudget``."""

from __future__ import annotations

import sys

from pytest_modelbudget.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
