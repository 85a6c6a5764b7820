"""Exported programs and files of weights under a budget: in the table, the fixture and the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import torch
from safetensors.torch import save_file
from torch import nn

from pytest_modelbudget.cli.main import main

from .conftest import PLAIN_AND_N2, Run

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.export's own
STEM = '[tool.modelbudget.models.stem]\nartifact = "build/stem.pt2"\n'
WEIGHTS = '[tool.modelbudget.models.weights]\nartifact = "build/net.safetensors"\n'
LOCK = "modelbudget.lock.json"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export once, before there is a pytester: it forgets what a test imports, and torch registers operators once."""
    folder = tmp_path_factory.mktemp("build")
    torch.export.save(torch.export.export(nn.Linear(8, 4), (torch.ones(2, 8),)), folder / "stem.pt2")
    # 688 bytes, as test_safetensors.py derives
    save_file(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)).state_dict(), folder / "net.safetensors")
    return folder


@pytest.fixture
def build(files: Path, pytester: pytest.Pytester) -> Path:
    return Path(shutil.copytree(files, pytester.path / "build"))


def locked(folder: Path, name: str) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / LOCK).read_text())["models"][name][0]["metrics"]
    return found


@PLAIN_AND_N2
def test_files_are_declared_in_place_of_a_factory(
    run: Run, pytester: pytest.Pytester, build: Path, mode: list[str]
) -> None:
    table = f'{STEM}macs = 63\nfile_bytes = "1 KB"\n{WEIGHTS}file_bytes = 688\nparams = 53\n'
    result = run(*mode, pyproject=table)
    result.assert_outcomes(passed=1, failed=1)
    size = (build / "stem.pt2").stat().st_size
    result.stdout.fnmatch_lines(
        [
            '>   artifact = "build/stem.pt2"',
            f"E *file bytes *{size} B *1 KB (+*%)",
            "E *MACs *64 *63 (+1.6%)",
            "stem *36 *64 / 63 *OVER file bytes *%, MACs 1.6%",
            "weights *53 / 53 *- *ok, at the limit (params)",
        ]
    )


def test_the_fixture_takes_them(run: Run, build: Path) -> None:
    result = run(
        "--modelbudget-report=csv",
        test_it="""
            from pathlib import Path
            def test_program(model_budget):
                found = model_budget(Path("build/stem.pt2"), file_bytes="1 MB", macs=64)
                assert found.name == "stem"
            def test_live(model_budget):
                program = torch.export.export(nn.Linear(8, 4), (torch.ones(2, 8),))
                assert model_budget(program, macs=64).file_bytes is None
            def test_saved(model_budget):
                net = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
                assert model_budget(net, safetensors_bytes=688).safetensors_bytes == 688
                assert model_budget(nn.Linear(8, 4)).safetensors_bytes is None
            def test_over(model_budget):
                model_budget(lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)), safetensors_bytes=687)
        """,
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E *Sequential: safetensors_bytes 688 B > 687 B (+0.15%)"])


def test_a_table_makes_it_measured_before_the_name_is_known(run: Run, build: Path) -> None:
    table = '[tool.modelbudget.models."n*"]\nsafetensors_bytes = "1 MB"\n'
    code = "def test_it(model_budget): assert model_budget(net, inputs=(1, 100)).safetensors_bytes"
    run(pyproject=table, test_it=code).assert_outcomes(passed=1)


def test_sizes_of_files_are_locked_only_where_they_have_a_growth(
    run: Run, pytester: pytest.Pytester, build: Path
) -> None:
    limits = 'file_bytes = "1 KB"\nsafetensors_bytes = "1 KB"\n'
    run("--modelbudget-update", pyproject=f'[tool.modelbudget]\ngrowth = "0%"\n{WEIGHTS}{limits}')
    assert locked(pytester.path, "weights") == {"params": 53, "weight_bytes": 216}
    grows = f'{WEIGHTS}file_bytes = {{ growth = "1%" }}\n'
    run("--modelbudget-update", pyproject=grows)
    assert locked(pytester.path, "weights") == {"params": 53, "weight_bytes": 216, "file_bytes": 688}
    assert run().ret == 0
    renamed = {f"block.{key}": value for key, value in nn.Sequential(nn.Linear(8, 4)).state_dict().items()}
    save_file({**renamed, "more": torch.zeros(17)}, build / "net.safetensors", metadata={"note": "x" * 500})
    run().stdout.fnmatch_lines(["*weights *GREW file bytes *%"])
    assert run(pyproject=WEIGHTS).ret == 0  # without a growth it is not compared


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (f"{STEM}factory = 'a:b'\n", "factory belongs to a factory, and this entry has an artifact"),
        (f"{STEM}dtype = 'bfloat16'\n", "dtype belongs to a factory, and this entry has an artifact"),
        (f"{WEIGHTS}inputs = '1x3'\n", "inputs are for what can be run, and a file of weights cannot"),
        ('[tool.modelbudget.models.net]\nartifact = "net.onnx"\n', 'is the path of a file, as in "build/net.pt2"'),
        ("[tool.modelbudget.models.net]\nartifact = 3\n", 'is the path of a file, as in "build/net.pt2"'),
        ('[tool.modelbudget.models."n*"]\nartifact = "net.pt2"\n', "this entry is a pattern"),
        (f"{STEM}[tool.modelbudget.models.stem.modules.a]\nfile_bytes = 1\n", "is of the whole model, and of no part"),
    ],
)
def test_mistakes(run: Run, table: str, says: str) -> None:
    result = run(pyproject=table)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()


def test_a_missing_file_is_one_line(run: Run) -> None:
    result = run(pyproject=STEM)
    result.assert_outcomes(failed=1)
    said = [line for line in result.outlines if line.startswith("E ")]
    assert len(said) == 1
    assert said[0].endswith("stem.pt2: cannot be read: there is no such file")


CALL = 'def test_it(model_budget): model_budget(net, X, name="net"{})'


@pytest.mark.parametrize(
    ("table", "call", "passes"),
    [
        ("[tool.modelbudget.default]\nfile_bytes = 1\nparams = '1M'\n", "", True),
        ('[tool.modelbudget.models."n*"]\nfile_bytes = 1\nparams = "1M"\n', "", True),
        ('[tool.modelbudget.default]\nfile_bytes = { growth = "1%" }\n', "", True),
        ("[tool.modelbudget.models.net]\nfile_bytes = 1\n", "", False),
        ("", ", file_bytes=1", False),
    ],
)
def test_a_limit_on_a_file_that_is_none(run: Run, table: str, call: str, passes: bool) -> None:
    files: dict[str, Any] = {"pyproject": table} if table else {}
    result = run(test_it=CALL.format(call), **files)
    assert (result.ret == 0) is passes
    if not passes:
        result.stdout.fnmatch_lines(["*file_bytes is limited (*) and was not measured; the model is no file: *"])


def test_a_mark_observes_no_file(run: Run) -> None:
    result = run(test_it="@pytest.mark.budget(safetensors_bytes='1 KB')\ndef test_it(): Net()(X)")
    result.stdout.fnmatch_lines(["*was not measured; observing saves nothing: use the model_budget fixture"])
    part = run(test_it="@pytest.mark.budget(file_bytes=1, module='first')\ndef test_it(): Net()(X)")
    part.stdout.fnmatch_lines(["*file_bytes= at test_it.py:*: is of the whole model, and of no part of it"])


def test_the_command(build: Path, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "build/stem.pt2", "build/net.safetensors"]) == 0
    models = tomlkit.parse((pytester.path / "pyproject.toml").read_text()).unwrap()["tool"]["modelbudget"]["models"]
    assert models == {
        "stem": {"artifact": "build/stem.pt2", "params": "36", "macs": "64"},
        "net": {"artifact": "build/net.safetensors", "params": "53"},
    }
    assert main(["measure", "build/gone.pt2"]) == 2
    assert "build/gone.pt2: cannot be read: there is no such file" in capsys.readouterr().err
