"""The table: read whole, with every mistake named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pytest_modelbudget.budgets import Table, TableError
from pytest_modelbudget.budgets.config_file import project_name, read_table


def read(tmp_path: Path, text: str) -> Table | None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return read_table(path, "pyproject.toml")


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(TableError) as caught:
        read(tmp_path, text)
    return caught.value.mistakes


WHOLE = '''
text = """
[tool.modelbudget.models.resnet50]
params = "1M"
"""
[tool.modelbudget]
unbudgeted = "warn"
unknown_ops = "warn"
flops_per_mac = 1
default.params = "100M"          # dotted

[tool.modelbudget.models.resnet50]
params = "25.6M"
macs = { max = "4.1G", warn = 4_000_000_000 }
flops = "none"
message = "Ask first."

[tool.modelbudget.models."vit_*"]
weight_bytes = { warn = "96 MiB" }
'''


def test_everything_is_read_with_its_line(tmp_path: Path) -> None:
    table = read(tmp_path, WHOLE)
    assert table is not None
    assert (table.unbudgeted, table.unknown_ops, table.flops_per_mac) == ("warn", "warn", 1)
    resnet, vit = table.models["resnet50"], table.models["vit_*"]
    assert table.default.limits["params"].place.line == 10
    assert str(resnet.limits["params"].place) == "pyproject.toml:13 [tool.modelbudget.models.resnet50]"
    assert str(resnet.warns["macs"].place) == "pyproject.toml:14 [tool.modelbudget.models.resnet50]"
    assert str(vit.warns["weight_bytes"].place) == 'pyproject.toml:19 [tool.modelbudget.models."vit_*"]'
    assert (resnet.limits["flops"], resnet.warns["flops"], resnet.message) == (None, None, "Ask first.")
    assert resnet.limits["macs"].value == 4_100_000_000


def test_the_table_crosses_to_workers_as_builtins(tmp_path: Path) -> None:
    table = read(tmp_path, WHOLE)
    assert msgspec.convert(msgspec.to_builtins(table), Table) == table


def test_a_value_over_several_lines_names_the_key_alone(tmp_path: Path) -> None:
    table = read(tmp_path, '[tool.modelbudget.default]\nparams = """\\\n  100M"""\n')
    assert table is not None
    assert str(table.default.limits["params"].place) == "pyproject.toml [tool.modelbudget.default]"


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1\n", 'tool = "modelbudget"\n'])
def test_no_table_is_none(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) is None


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    assert read(tmp_path, "[tool.modelbudget]\n") == Table()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "growht = 1",
            "pyproject.toml:2: tool.modelbudget.growht is not a key of the plugin; did you mean growth?",
        ),
        ("limits = 1", "tool.modelbudget.limits is not a key of the plugin; valid are default, models, baseline, "),
        ("model = {}", "tool.modelbudget.model is not a key of the plugin; did you mean models?"),
        ('unbudgeted = "fail"', 'tool.modelbudget.unbudgeted is one of "report", "warn", "error", not "fail"'),
        ("flops_per_mac = 2.0", "flops_per_mac is one of 2, 1, not 2.0"),
        ("flops_per_mac = true", "flops_per_mac is one of 2, 1, not true"),
        ("default = 3", "default is a table of limits, not 3"),
        ("models = 3", "models is a table of models, not 3"),
        ("models.net = 3", "models.net is a table of limits, not 3"),
        ("default.flop = 3", "default.flop is not a key of the plugin; did you mean flops?"),
        ("default.message = 3", "default.message is a string, not 3"),
        ("default.macs = 4.1", "default.macs = 4.1: a float is not exact"),
        ("default.macs = [1]", "default.macs = [1]: a limit is an int or a string"),
        ("default.macs = {}", "default.macs is empty: give max, warn, growth or floor"),
        ('default.macs = { max = "4g" }', 'default.macs.max = "4g": prefixes are case-sensitive'),
        ("default.macs = { most = 3 }", "default.macs.most is not a key of the plugin; valid are max, warn"),
        ("default.macs = { growth = 1 }", "default.macs.growth = 1: growth is a percentage of the baseline."),
        ('default.growth = "1"', 'default.growth = "1": growth is a percentage of the baseline. This works'),
        ('default.floor = "1g"', 'default.floor = "1g": prefixes are case-sensitive'),
        ('models.net.grows = "1%"', "models.net.grows is not a key of the plugin; did you mean growth?"),
        ('new = "fail"', 'tool.modelbudget.new is one of "report", "error", not "fail"'),
        ('baseline = ""', "tool.modelbudget.baseline is empty: name the lock file, or leave the key out"),
        ('default.macs = { max = "4G", warn = "5G" }', "default.macs would never warn: warn (5 G) is above max (4 G)"),
        ('models."a b".macs = -1', 'models."a b".macs = -1: a limit is not negative'),
    ],
)
def test_mistakes_name_the_key_and_the_remedy(tmp_path: Path, body: str, says: str) -> None:
    (mistake,) = mistakes(tmp_path, f"[tool.modelbudget]\n{body}\n")
    assert says in mistake


@pytest.mark.parametrize("name", [" ", "", r"\u200B", r"\u202Ea", r"a\u2028b", r"a\u000Ab", "net "])
def test_entries_for_names_that_no_model_has(tmp_path: Path, name: str) -> None:
    (mistake,) = mistakes(tmp_path, f'[tool.modelbudget.models."{name}"]\nparams = 1\n')
    assert f'models."{name}" names nothing' in mistake


def test_a_table_that_is_none(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "tool.modelbudget = 3\n") == ["pyproject.toml:1: tool.modelbudget is a table, not 3"]


@pytest.mark.parametrize(
    ("text", "where"),
    [("[tool.modelbudget\n", "1:18"), ("a = 1\n[tool.modelbudget]\nx = \n", "3:5"), ('x = "modelbudget', "1:17")],
)
def test_broken_files_name_line_and_column(tmp_path: Path, text: str, where: str) -> None:
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(f"pyproject.toml:{where}: is not valid TOML: ")


def test_a_message_steers_no_terminal(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        r"""[tool.modelbudget.default]
macs = "1G"
message = "\u001b[31mred\u001b[0m\nAsk first."
""",
    )
    assert table is not None
    assert table.default.message == "\\x1b[31mred\\x1b[0m\nAsk first."


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'[project]\nname = "house"', "house"),
        (b"[project]\nname = 3", "folder"),
        (b"project = 3", "folder"),
        (b"[project", "folder"),
        (b"\xff", "folder"),
        (None, "folder"),
    ],
)
def test_the_name_of_a_project_is_that_of_its_folder_where_it_has_none(
    tmp_path: Path, text: bytes | None, name: str
) -> None:
    path = tmp_path / "folder" / "pyproject.toml"
    path.parent.mkdir()
    if text is not None:
        path.write_bytes(text)
    assert project_name(path) == name
