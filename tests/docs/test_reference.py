"""The reference names everything that there is: a metric, key, option, format, command or hook that is new fails here."""

from __future__ import annotations

import argparse
import inspect
import re
from unittest.mock import MagicMock

import pytest

import pytest_modelbudget
from pytest_modelbudget import hookspecs, plugin
from pytest_modelbudget.budgets.config import _CHOICES, _RISE, Table
from pytest_modelbudget.budgets.declared import DECLARING
from pytest_modelbudget.budgets.rules import SELECTORS
from pytest_modelbudget.cli.main import _parser
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.formats import FORMATS
from pytest_modelbudget.results import baseline, store

from .pages import ROOT


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(text: str, under: str = "") -> list[list[str]]:
    """Return the rows of the tables below a heading, each as its cells without the marks of code."""
    part = re.split(r"^#+ ", text.partition(f"# {under}\n")[2] if under else text, flags=re.MULTILINE)
    lines = [line for line in (part[0] if under else text).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def keys(text: str, under: str = "") -> set[str]:
    return {name for row in rows(text, under) for name in re.findall(r"`([^`]+)`", row[0]) if name != "-v"}


def test_metrics() -> None:
    found = {row[0].strip("`"): row[2].strip('`"') for row in rows(page("numbers.md"), "Metrics")[1:]}
    assert found == {name: metric.example for name, metric in METRICS.items()}


def test_keys_of_the_table() -> None:
    text = page("table.md")
    fields = {*Table.__struct_fields__} - {"path", "everywhere", "declared"}
    assert keys(text, "Keys of the project") == {*fields, *_RISE}
    assert keys(text, "Keys of a table of limits") == {"max", "warn", *_RISE}
    assert keys(text, "Keys that declare a model") == {*DECLARING}


def test_values_of_the_table_and_their_defaults() -> None:
    values = {row[0].strip("`"): re.findall(r"`\"?([^`\"]+)\"?`", row[1]) for row in rows(page("table.md"))}
    for key, choices in _CHOICES.items():
        assert {*values[key]} == {*map(str, choices)}, key
        assert values[key][0] == str(getattr(Table(), key)), f"the first value of {key} is the default"


def test_keywords_of_marks() -> None:
    assert keys(page("tests.md"), "The marks `budget` and `modelbudget`") == {*SELECTORS}


def test_options() -> None:
    parser = MagicMock()
    plugin.pytest_addoption(parser)
    options = {call.args[0] for call in parser.getgroup().addoption.call_args_list}
    ini = {call.args[0] for call in parser.addini.call_args_list}
    assert {key.partition("=")[0] for key in keys(page("options.md"))} == options | ini


def test_formats() -> None:
    text = page("reports.md")
    found = [[re.sub(r"\[?`([^`]+)`.*", r"\1", cell) for cell in row[:2]] for row in rows(text)[1:]]
    assert found[: len(FORMATS)] == [[kind, default] for kind, (default, _) in FORMATS.items()]
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in FORMATS] == [*FORMATS]


def test_commands() -> None:
    text = page("command.md")
    commands = next(one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction)).choices
    assert re.findall(r"^## modelbudget (.+)$", text, re.MULTILINE) == [*commands]
    for name, command in commands.items():
        options = {one.option_strings[-1] for one in command._actions if one.option_strings} - {"--help"}
        documented = {key.partition(" ")[0] for key in keys(text, f"modelbudget {name}")}
        assert documented == options, name
        choices = {option for one in command._actions for option in one.choices or ()}
        shown = "".join(row[0] for row in rows(text, f"modelbudget {name}"))
        assert choices <= {*re.findall(r"\w+", shown)}, name


@pytest.mark.parametrize("name", [name for name in pytest_modelbudget.__all__ if not name.startswith("_")])
def test_public_names(name: str) -> None:
    assert re.search(rf"^\.\. auto\w+:: {name}$", page("api.rst"), re.MULTILINE)


def test_hooks() -> None:
    hooks = [name for name, _ in inspect.getmembers(hookspecs, inspect.isfunction)]
    assert re.findall(r"^## (.+)$", page("hooks.md"), re.MULTILINE) == hooks
    assert all(f"hookspecs.{name}" in page("api.rst") for name in hooks)


def test_what_is_public() -> None:
    text = page("stability.md")
    assert keys(text, "What is public") >= {*pytest_modelbudget.__all__}
    schemas = {row[0].strip("`"): row[1:3] for row in rows(text, "Files")[1:]}
    readable = [[str(schema), f"1, {schema}"] for schema in (baseline.SCHEMA, store.SCHEMA)]
    assert [schemas["modelbudget.lock.json"], schemas["JSON report"]] == readable
