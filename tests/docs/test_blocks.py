"""Every block of the README and of the documentation is run, read or compared; see pages.py for how."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import PAGES_WITH_BLOCKS, Story, stories
from .trying import Trial

pytestmark = pytest.mark.slow
STORIES = [story for page in PAGES_WITH_BLOCKS for story in stories(page)]


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_page_says_what_is(story: Story, tmp_path: Path) -> None:
    Trial(story, tmp_path).carry_out()
