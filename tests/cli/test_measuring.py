"""``modelbudget measure`` and ``modelbudget init``: numbers derived by hand, tables that pytest then keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit
import torch
from safetensors.torch import save_file

from pytest_modelbudget.cli.main import main
from pytest_modelbudget.measurement import rounded_up
from warm import run_program

MODELS = """
import torch
from torch import nn

class Task(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, width), nn.Linear(width, 4)
    def encode(self, x): return self.encoder(x)
    def forward(self, x, mask=None): return self.decoder(self.encoder(x))

class Needs(nn.Module):
    def __init__(self, depth): super().__init__()

def unknown():
    @torch.library.custom_op("cli_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor: return x * 2
    twice.register_fake(lambda x: torch.empty_like(x))
    class Net(nn.Linear):
        def forward(self, x): return twice(super().forward(x))
    return Net(4, 4)

def unsaid():
    assert False
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cli_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cli_models", raising=False)
    return tmp_path


# 3 rows: encoder 3 * 4 * 8, decoder 3 * 8 * 4. Weights: (4 * 8 + 8) + (8 * 4 + 4).
def test_the_text_is_a_tree_and_a_table_that_can_be_pasted(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert main(["measure", "cli_models:Task", "--inputs", "3x4", "--arguments", "width=8"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].startswith("Task: params 76, trainable_params 76, macs 192, flops 384")
    assert text.splitlines()[0].endswith("(shape run, eval)")
    assert "  encoder (Linear)" in text
    table = tomlkit.parse(text[text.index("[tool.modelbudget") :]).unwrap()
    assert table["tool"]["modelbudget"]["models"]["Task"] == {
        "factory": "cli_models:Task",
        "arguments": {"width": 8},
        "inputs": "3x4",
        "params": "76",
        "macs": "192",
    }


def test_json_and_several_factories(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["measure", "cli_models:Task", "cli_models:Task", "--inputs", "x=3x4", "mask=3 bool", "--format=json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["macs"], len(one["inputs"])) for one in found] == [("Task", 96, 2)] * 2


def test_markdown_a_method_and_training(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--inputs", "3x4", "--method", "encode", "--backward", "--format", "markdown"]
    assert main(["measure", "cli_models:Task", *options]) == 0
    # Forward 3 * 4 * 4, and as much for the gradient of the weights; none for the input.
    row = [cell.strip() for cell in capsys.readouterr().out.splitlines()[2].split("|")]
    assert row[1:-1] == ["Task", "3x4, train", "40", "40", "48", "96", "96", "192", "160 B"]


VARIANTS = """
def make_task(width=4): return Task(width)
class Zoo:
    @classmethod
    def from_name(cls, name, dtype=None): return Task(len(name))
"""


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        ("cli_models:Task", "Task"),
        ("cli_models:make_task", "cli_models"),
        ("cli_models:Zoo.from_name name=gpt2", "gpt2"),
        ("cli_models:Zoo.from_name name=gpt2 dtype=half", "Zoo"),
    ],
)
def test_a_good_name_is_found(factory: str, name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cli_models.py").write_text(MODELS + VARIANTS)
    factory, *arguments = factory.split()
    given = ["--arguments", *arguments] if arguments else []
    assert main(["measure", factory, *given, "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == name


def test_variants_are_like_the_first(project: Path) -> None:
    arguments = ["init", "cli_models:Task", "--inputs", "3x4", "--name", "small", "--arguments", "width=4"]
    assert main([*arguments, "--name", "large", "--arguments", "width=8", "--dtype=bfloat16"]) == 0
    models = tomlkit.parse((project / "pyproject.toml").read_text()).unwrap()["tool"]["modelbudget"]["models"]
    # encoder and decoder: 3 x 4 x width each; weights 2 x 4 x width, and biases
    assert models == {
        "small": {
            "factory": "cli_models:Task",
            "arguments": {"width": 4},
            "inputs": "3x4",
            "dtype": "bfloat16",
            "params": "40",
            "macs": "96",
        },
        "large": {"like": "small", "arguments": {"width": 8}, "params": "76", "macs": "192"},
    }
    assert run_program("pytest", ["-p", "no:cacheprovider"], project / "screen") == 0, (project / "screen").read_text()


def test_as_many_names_as_factories(capsys: pytest.CaptureFixture[str]) -> None:
    both = ["measure", "cli_models:Task", "cli_models:Task"]
    assert main([*both, "--name", "a", "--name", "b", "--format=json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["a", "b"]
    assert main([*both, "--name", "a"]) == 2
    assert "2 factories have 1 name; name all of them, or none" in capsys.readouterr().err


def test_inputs_and_arguments_are_those_of_the_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cli_models.py").write_text(
        MODELS + "def batch(): return {'x': torch.zeros(3, 4)}\nclass Net(Task):\n"
        "    def forward(self, batch, scale=None, *, masks=()):\n"
        "        assert scale is None and masks == [2, 'mean']\n"
        "        return super().forward(batch['x'])\n"
    )
    nested = ["batch={ x = '3x4' }", "scale=None", "masks=[2, 'mean']"]
    assert main(["measure", "cli_models:Net", "--positional", "8", "--inputs", *nested, "--format=json"]) == 0
    assert main(["measure", "cli_models:Task", "--inputs", "cli_models:batch", "--train", "--format=json"]) == 0
    texts = capsys.readouterr().out.split("]\n[")
    assert ('"macs": 192' in texts[0], '"macs": 96' in texts[1], '"mode": "train"' in texts[1]) == (True, True, True)


def test_what_is_nested_stands_on_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cli_models.py").write_text(
        MODELS + "class Of(Task):\n    def __init__(self, c): super().__init__(*c)\n"
    )
    config = '{ factory = "builtins:list", positional = [[8]] }'
    assert main(["measure", "cli_models:Of", "--positional", config, "--inputs", "x=3x4", "mask=None"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"positional = [{config}]" in lines
    assert 'inputs = { x = "3x4", mask = "None" }' in lines


def test_a_depth(capsys: pytest.CaptureFixture[str]) -> None:
    main(["measure", "cli_models:Task", "--inputs", "3x4", "--depth", "0"])
    assert "+ 2 more modules further below" in capsys.readouterr().out


def test_without_inputs_only_weights_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "cli_models:Task"]) == 0
    text = capsys.readouterr().out
    assert "(nothing was run: give --inputs)" in text
    assert "macs =" not in text


def test_a_lower_bound_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "cli_models:unknown", "--inputs", "3x4"]) == 1
    assert "lower bound" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cli_models"], 'a factory is "module:attribute"'),
        (["cli_models:Tusk"], "cli_models has no Tusk; did you mean Task?"),
        (["cli_model:Task"], "there is no module cli_model"),
        (["cli_models:Needs"], "cli_models:Needs: TypeError: Needs.__init__() missing 1 required positional argument"),
        (["cli_models:Task", "--inputs", "3y4"], "--inputs: '3y4' is no input spec"),
        (["cli_models:Task", "--inputs", "{1,2}x4"], "--inputs: a range of sizes"),
        (["cli_models:Task", "--inputs", "3x5"], "cli_models:Task: RuntimeError: "),
        (
            ["torch.nn:Embedding", "--inputs", "1x128", "--arguments", "num_embeddings=9", "embedding_dim=8"],
            'ids: give "1x128 int64"',
        ),
        (["cli_models:Task", "--arguments", "width"], "write name=value"),
        (["gone.pt2", "--arguments", "width=4"], "gone.pt2: arguments belongs to a factory, and this entry has an art"),
        (["cli_models:Task", "--backward"], "cli_models:Task: backward needs inputs"),
        (["cli_models:Task", "--inputs", "3x4", "--dtype", "int8"], "cli_models:Task: dtype is one of float32, "),
        (["cli_models:unsaid", "--inputs", "3x4"], "cli_models:unsaid: AssertionError; while building unsaid"),
        (["cli_models:Task", "--method", "encod"], "Task has no method encod; did you mean encode?"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("modelbudget: ")
    assert printed.err.count("\n") == 1
    assert says in printed.err


def test_verbose_shows_where_the_models_code_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "cli_models:Task", "--inputs", "3x5", "-v"]) == 2
    assert "def forward(self, x, mask=None)" in capsys.readouterr().err


def test_init_keeps_comments_and_order_and_what_pytest_then_keeps(project: Path) -> None:
    before = (
        '# of ours\n[project]\nname = "x" # here\n\n[tool.modelbudget.models.other]\nparams = 1 # limit\n\n[tool.z]\n'
    )
    (project / "pyproject.toml").write_text(before)
    assert main(["init", "cli_models:Task", "--inputs", "3x4", "--arguments", "width=8"]) == 0
    text = (project / "pyproject.toml").read_text()
    for line in before.splitlines():
        assert line in text.splitlines()
    assert text.index("[project]") < text.index("models.other") < text.index("models.Task")
    code = run_program("pytest", ["-p", "no:cacheprovider", "pyproject.toml::Task"], project / "screen")
    screen = (project / "screen").read_text()
    assert code == 0, screen
    assert "Task   76 / 76  192 / 192  ok, at the limit (params)" in screen


def test_init_makes_the_file(project: Path) -> None:
    assert main(["init", "cli_models:Task"]) == 0
    assert tomlkit.parse((project / "pyproject.toml").read_text()).unwrap() == {
        "tool": {"modelbudget": {"models": {"Task": {"factory": "cli_models:Task", "params": "40"}}}}
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[tool.modelbudget.models.Task]\nparams = 1\n",
            "there is an entry [tool.modelbudget.models.Task] already; nothing was written",
        ),
        ("[tool.modelbudget\n", "cannot be read"),
        ("[tool]\nmodelbudget = 3\n", "modelbudget is no table in this file"),
    ],
)
def test_init_overwrites_nothing(text: str, says: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text(text)
    assert main(["init", "cli_models:Task"]) == 2
    assert says in capsys.readouterr().err
    assert (project / "pyproject.toml").read_text() == text


def test_nothing_is_imported_to_refuse_a_command() -> None:
    code = "import sys; from pytest_modelbudget.cli.main import main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (999, "macs", "999"),
        (1000, "macs", "1K"),
        (1001, "macs", "1.01K"),
        (25_557_032, "params", "25.6M"),
        (4_089_184_256, "macs", "4.09G"),
        (999_500, "macs", "1M"),
        (102_228_128, "weight_bytes", "103 MB"),
        (10**17, "macs", "100P"),
        (10**18, "macs", "1000000000000000000"),
    ],
)
def test_limits_are_rounded_up_to_three_digits(value: int, metric: str, text: str) -> None:
    assert rounded_up(value, metric) == text


def test_init_keeps_the_line_ends_of_the_table(project: Path) -> None:
    path = project / "pyproject.toml"
    path.write_bytes(b'[project]\r\nname = "x"\r\n')
    assert main(["init", "cli_models:Task", "--inputs", "3x4"]) == 0
    written = path.read_bytes()
    assert written.startswith(b'[project]\r\nname = "x"\r\n')
    assert written.count(b"\n") == written.count(b"\r\n") > 5


def test_init_names_a_file_as_every_system_does(project: Path) -> None:
    (project / "build").mkdir()
    save_file({"weight": torch.zeros(2)}, project / "build" / "net.safetensors")
    assert main(["init", os.path.join(".", "build", "net.safetensors")]) == 0  # noqa: PTH118 - a Path drops the dot
    table = tomlkit.parse((project / "pyproject.toml").read_text()).unwrap()
    assert table["tool"]["modelbudget"]["models"]["net"]["artifact"] == "build/net.safetensors"
