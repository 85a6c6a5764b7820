"""The surfaces of a project whose 19 models stand in every way a model can, whole, in ``screens/material``.

``UPDATE_SCREENS=1 pytest tests/reports`` writes them anew; ``make material`` writes them to build/material to be looked
at, with the page and the reports for machines.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from wcwidth import wcswidth

from tools.material.surfaces import WIDTHS, write_surfaces

SCREENS = Path(__file__).parent / "screens" / "material"
COMPARED = {
    **{f"summary-{width}.txt": f"summary-{width}.txt" for width in WIDTHS},
    "pytest.txt": "pytest.txt",
    "report.markdown": "comment.md",
    "annotations.txt": "annotations.txt",
}
MOST_LETTERS_OF_A_COMMENT = 8_000


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material") / "surfaces"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # which takes half as long as the runs themselves
        assert [*write_surfaces(folder)]
    return folder


@pytest.mark.parametrize("surface", COMPARED)
def test_the_whole_surface(surfaces: Path, surface: str) -> None:
    text = (surfaces / surface).read_text(encoding="utf-8")
    path = SCREENS / COMPARED[surface]
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_one_model_is_one_row_and_no_line_wraps(surfaces: Path) -> None:
    for width in WIDTHS:
        lines = (surfaces / f"summary-{width}.txt").read_text(encoding="utf-8").splitlines()
        assert all(wcswidth(line) <= width + 2 for line in lines)  # with the letter of the colour
        assert lines[0].startswith("  model")
        assert not any(line[2] == " " for line in lines[1:20])


def test_no_line_of_a_failure_wraps(surfaces: Path) -> None:
    lines = (surfaces / "pytest.txt").read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if line.startswith("E  ")]
    assert len(said) < 120  # of seven failures, one of a model of 126 layers
    assert [line for line in said if wcswidth(line) > 80] == []


def test_a_comment_is_short(surfaces: Path) -> None:
    assert len((surfaces / "report.markdown").read_text(encoding="utf-8")) < MOST_LETTERS_OF_A_COMMENT
