"""A page that says something else than what is does not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import stories
from .trying import Trial


def carry_out(folder: Path, text: str) -> None:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    for number, story in enumerate(stories(page)):
        project = folder / str(number)
        project.mkdir()
        Trial(story, project).carry_out()


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n\n"


PRINTS = fenced("python", "print('one')\nprint('two')\nprint('three')")


@pytest.mark.parametrize("shown", ["one\ntwo\nthree", "one\n...\nthree", "...\ntwo\n...", "o...e\nt...\nthree", "..."])
def test_output_is_shown_whole_or_with_dots(tmp_path: Path, shown: str) -> None:
    carry_out(tmp_path, f"{PRINTS}<!-- output -->\n\n{fenced('text', shown)}")


@pytest.mark.parametrize("shown", ["one\ntwo", "one\nthree", "two\n...", "...\ntwo", "one\ntwo\nfour"])
def test_other_output_is_refused(tmp_path: Path, shown: str) -> None:
    with pytest.raises(AssertionError, match="the page shows"):
        carry_out(tmp_path, f"{PRINTS}<!-- output -->\n\n{fenced('text', shown)}")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (fenced("text", "something"), "nothing says how a block of text is tried"),
        (fenced("", "something"), "nothing says how a block of no language is tried"),
        ("- a list\n\n      an indented block\n", "an indented block has no language"),
        ("<!-- outptu -->\n", "outptu is no verb"),
        ("<!-- What is this? -->\n", "no comment that pages.py knows"),
        ("<!-- file: a.py -->\n\n<!-- file: b.py -->\n", "the comment before this one has no block"),
        (fenced("python", "def test_it(): pass"), "a test stands in a file"),
        (fenced("console", "pytest"), "a console begins with a command"),
        (fenced("console", "$ rm -r ."), "rm is no command that pages may show"),
        (fenced("console", "$ pip install pytest-modelbudgets"), "is not what pyproject.toml declares"),
        (fenced("console", "$ pip install pytest-modelbudget[html,pdf]"), "is not what pyproject.toml declares"),
        (fenced("console", "$ make coffee"), "the Makefile has no"),
        ("<!-- fails: python -c pass -->\n", "fails"),
        ("<!-- run: python -c 1/0 -->\n", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_tried_is_refused(tmp_path: Path, page: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        carry_out(tmp_path, page)


def test_a_table_is_read_by_the_plugin(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"tool\.modelbudget\.grwth is not a key of the plugin; did you mean growth\?"):
        carry_out(tmp_path, fenced("toml", '[tool.modelbudget]\ngrwth = "1%"'))


def test_a_block_that_raises_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        carry_out(tmp_path, fenced("python", "1 / 0"))


def test_tests_that_no_command_runs_are_run(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="1 failed"):
        carry_out(tmp_path, f"<!-- file: test_it.py -->\n\n{fenced('python', 'def test_it(): assert False')}")


def test_projects_are_kept_apart(tmp_path: Path) -> None:
    carry_out(tmp_path, "<!-- file: a.py\nx = 1\n-->\n<!-- project: other -->\n<!-- fails: python a.py -->\n")
