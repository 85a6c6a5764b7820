"""The documentation: ``make docs`` builds it, and so does the suite, in which every warning is an error."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.example import run_pytest

project = "pytest-modelbudget"
author = "pytest-modelbudget maintainers"
copyright = author  # noqa: A001 - the name that Sphinx gives it
version = release = installed(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_enable_extensions = ["deflist", "fieldlist", "html_image"]
myst_heading_anchors = 3
exclude_patterns: list[str] = []

copybutton_prompt_text = "$ "  # what stands behind it is copied, and no output

html_theme = "furo"
html_title = project
html_show_copyright = False
html_theme_options = {
    "source_repository": "https://github.com/pytest-modelbudget/pytest-modelbudget/",
    "source_branch": "main",
    "source_directory": "docs/",
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
nitpicky = True
# Types of torch and of the inner parts have no page here, and no network is needed to build.
nitpick_ignore_regex = [("py:.*", r"(?!pytest_modelbudget\.).*|pytest_modelbudget\.(budgets|costs|counting)\..*")]


def _of_this_site(_: Sphinx, __: Path, ___: str, content: list[str]) -> None:
    """Make the links and pictures of the README, which start at the root of the repository, start here."""
    content[0] = re.sub(r'(\]\(|src=")docs/', r"\1", content[0])


def _example(app: Sphinx, error: Exception | None) -> None:
    """Write the page that the start page links: that of a run of the example project, as it is now."""
    if error is None and app.builder.format == "html":
        run_pytest(f"--modelbudget-report=html:{app.outdir / 'example.html'}")


def setup(app: Sphinx) -> None:
    """Connect what the README needs."""
    app.connect("include-read", _of_this_site)
    app.connect("build-finished", _example)
