"""The documentation is built, and every warning is an error: a link, a name or a heading that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .pages import ROOT


def test_the_documentation_is_built_without_a_warning(tmp_path: Path) -> None:
    options = ["-W", "--keep-going", "-n", "-q", "-b", "html", "-d", str(tmp_path / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(tmp_path / "html")]
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    start = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert 'src="_images/comment.png"' in start, "the pictures are those of the repository"
    assert 'href="reports.html"' in start, "the links of the README stay within the site"
    assert "copybutton.js" in start
    assert "resnet50_384" in (tmp_path / "html" / "example.html").read_text(encoding="utf-8")
    assert "(unreleased)" in (tmp_path / "html" / "changelog.html").read_text(encoding="utf-8")
    assert (tmp_path / "html" / "api.html").read_text(encoding="utf-8").count("<dt") > 20
