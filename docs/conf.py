"""The documentation: ``make docs`` builds it, and so does the suite, in which every warning is an error."""

from __future__ import annotations

import os
import re
import sys
from html import escape
from importlib.metadata import version as installed
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.example import run_pytest

project = "pytest-modelbudget"
author = "The pytest-modelbudget developers"
copyright = author  # noqa: A001 - the name that Sphinx gives it
release = installed(project)
version = os.environ.get("DOCS_VERSION", release)  # what the pages are called in the site
if version not in ("main", release):
    raise ValueError(f"DOCS_VERSION is {version}, and this is neither main nor {release}, which is installed")

extensions = ["myst_parser", "notfound.extension", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinxext.opengraph"]
myst_enable_extensions = ["deflist", "fieldlist", "html_image"]
myst_heading_anchors = 3
exclude_patterns: list[str] = []

copybutton_prompt_text = "$ "  # what stands behind it is copied, and no output

# The pages at the root of the site are those of the newest release (tools/site.py); they are the canonical ones.
html_baseurl = ogp_site_url = "https://pytest-modelbudget.github.io/pytest-modelbudget/"
_ROOT = urlsplit(html_baseurl).path

ogp_image = f"{html_baseurl}_static/card.png"  # `make pictures`
ogp_image_alt = "pytest-modelbudget: a test that fails, and says which model is over its budget, by how much and where"
ogp_custom_meta_tags = [
    '<meta property="og:image:width" content="1200" />',
    '<meta property="og:image:height" content="630" />',
    '<meta name="twitter:card" content="summary_large_image" />',
]

notfound_urls_prefix = _ROOT  # GitHub answers with the page of the root, whatever the depth
notfound_context = {
    "title": "Page not found",
    "body": f"""<h1>Page not found</h1>
<p>It may have been renamed, or be part of another version only: <a href="{_ROOT}search.html">search for it</a>,
or begin at <a href="{_ROOT}">the start</a>.</p>""",
}

templates_path = ["templates"]
html_static_path = ["static", "pictures/card.png"]
html_css_files = ["versions.css"]
html_js_files = [("versions.js", {"defer": "defer"})]
html_context = {"site": _ROOT}
_PARTS = ["brand", "version", "search", "scroll-start", "navigation", "scroll-end"]  # furo's, but for the second
html_sidebars = {"**": [f"sidebar/{part}.html" for part in _PARTS]}
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


def _describe(_: Sphinx, __: str, ___: str, context: dict[str, Any], page: nodes.document | None) -> None:
    """Describe a page by its first paragraph; sphinxext.opengraph would go on with the cells of a table."""
    if page:
        text = escape(shorten(next(page.findall(nodes.paragraph)).astext(), 200, placeholder=" ..."))
        context["meta"] = {**(context["meta"] or {}), "og:description": text}
        context["metatags"] += f'<meta name="description" content="{text}" />\n'


def setup(app: Sphinx) -> None:
    """Connect what the README and the extensions need."""
    app.connect("include-read", _of_this_site)
    app.connect("html-page-context", _describe, priority=400)
    app.connect("build-finished", _example)
