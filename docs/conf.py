"""The documentation: ``make docs`` builds it, and so does the suite, in which every warning is an error."""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

project = "pytest-modelbudget"
author = "pytest-modelbudget maintainers"
copyright = author  # noqa: A001 - the name that Sphinx gives it
version = release = installed(project)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns: list[str] = []

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
nitpick_ignore_regex = [("py:.*", r"(?!pytest_modelbudget\.).*|pytest_modelbudget\.(budgets|counting)\..*")]

_SITE = "https://pytest-modelbudget.github.io/pytest-modelbudget/"
_PICTURES = "https://raw.githubusercontent.com/pytest-modelbudget/pytest-modelbudget/main/docs/"


def _of_this_site(_: Sphinx, __: Path, ___: str, content: list[str]) -> None:
    """Make the links of the README, which are whole for GitHub and PyPI, links within the site."""
    content[0] = re.sub(re.escape(_SITE) + r"([\w/-]+)\.html", r"\1.md", content[0]).replace(_PICTURES, "")


def setup(app: Sphinx) -> None:
    """Connect what the README needs."""
    app.connect("include-read", _of_this_site)
