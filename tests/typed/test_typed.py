"""The types that users get: ``right_uses.py`` passes mypy, ``wrong_uses.py`` is refused on the lines that say so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXPECTED = re.compile(r"# E: (.+)")
REPORTED = re.compile(r"(.+?):(\d+): error: (.+)")
Errors = dict[tuple[str, int], str]


def expected_errors() -> Errors:
    found: Errors = {}
    for path in HERE.glob("*_uses.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if comment := EXPECTED.search(line):
                found[path.name, number] = comment[1]
    return found


def reported_errors() -> Errors:
    """Run mypy with the project's own configuration, which is strict: so it shares its cache, and takes a second."""
    command = [sys.executable, "-m", "mypy", "--no-pretty", *map(str, HERE.glob("*_uses.py"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Errors = {}
    for match in REPORTED.finditer(done.stdout):
        place = Path(match[1]).name, int(match[2])
        if not match[1].endswith("_uses.py"):
            continue  # of the package, with the annotations of an older torch or pytest
        found[place] = f"{found.get(place, '')}{match[3]}\n"
    return found


def test_right_uses_pass_and_wrong_ones_are_reported_on_their_lines() -> None:
    expected, reported = expected_errors(), reported_errors()
    assert {path for path, _ in expected} == {"wrong_uses.py"}
    assert {place: texts for place, texts in reported.items() if place not in expected} == {}, "right, and reported"
    missed = {place: text for place, text in expected.items() if text not in reported.get(place, "")}
    assert missed == {}, {place: reported.get(place) for place in missed}
