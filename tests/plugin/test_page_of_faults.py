"""The page of faults says what the tests find, and no row passes without guarding."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from .junit import outcome
from .page_of_faults import page, topic
from .test_behaviours import EXPECTATIONS, MODES, run_once, shared

__all__ = ["shared"]

PAGE = Path(__file__).parents[1] / "faults" / "README.md"


@pytest.mark.slow
def test_the_page_of_faults(shared: Path) -> None:
    runs = {mode: run_once(shared, mode) for mode in MODES}
    behaviours: dict[str, list[tuple[str, str, Mapping[str, str]]]] = {}
    for expected in EXPECTATIONS:
        found = {mode: outcome(run.case(expected)) for mode, run in runs.items()}
        behaviours.setdefault(topic(expected.module), []).append((expected.name, "; ".join(expected.says), found))
    written = page(behaviours)
    if os.environ.get("UPDATE_FAULTS"):
        PAGE.write_text(written, encoding="utf-8")
    assert written == PAGE.read_text(encoding="utf-8")


def test_no_case_passes_without_a_proof_that_the_guard_looked() -> None:
    for expected in EXPECTATIONS:
        if expected.outcome == "passed":
            proofs = [text for text in expected.says if "modelbudget." in text or text == "no properties"]
            assert proofs, expected.place
