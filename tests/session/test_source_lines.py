"""Places are named alike on every system."""

from __future__ import annotations

from pathlib import PureWindowsPath
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelbudget.session.one_test import source_lines


def test_a_place_has_slashes_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_lines, "Path", PureWindowsPath)
    root = PureWindowsPath(r"C:\work")
    item: Any = SimpleNamespace(location=(r"tests\test_a.py", 3, "test_a"))
    assert source_lines.place_of_test(item).short == "tests/test_a.py:4"
    config: Any = SimpleNamespace(rootpath=root)
    node: Any = SimpleNamespace(path=PureWindowsPath(r"D:\shared\test_b.py"), config=config)
    node.config.stash = {source_lines.SESSION: SimpleNamespace(sources={})}
    assert source_lines.place_of_mark(pytest.mark.budget.mark, node).short == "D:/shared/test_b.py"
