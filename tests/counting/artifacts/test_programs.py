"""Exported programs: measured whole, by the modules and classes that they were exported from."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from torch import nn
from torch.export import ExportedProgram, export, save

from pytest_modelbudget import MeasurementError, measure

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.export's own


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> torch.Tensor:
        return self.norm(self.up(x)) * scale  # type: ignore[no-any-return]


class Net(nn.Module):
    """Two blocks and a head, of which the last layer is tied to the first."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(8, 8)
        self.head.weight = self.blocks[0].up.weight  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x, scale=scale)
        return self.head(x)  # type: ignore[no-any-return]


# Each linear is 8 x 8 and 8 biases, each norm 2 x 8; the weight of the head is that of the first.
PARAMS = 2 * (8 * 8 + 8 + 2 * 8) + 8
MACS = 3 * 2 * 8 * 8  # linears x rows x in x out


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return export(Net().eval(), (torch.ones(2, 8),), {"scale": torch.ones(2, 8)})


@pytest.fixture(scope="module")
def file(program: ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("build") / "net.pt2"
    save(program, path)
    return path


def test_a_program_is_measured_whole(program: ExportedProgram) -> None:
    found = measure(program)
    assert (found.params, found.macs, found.weight_bytes) == (PARAMS, MACS, PARAMS * 4)
    assert (found.name, found.named, found.mode, found.file_bytes) == ("Net", False, None, None)
    assert [spec.name for spec in found.inputs] == ["args[0]", "kwargs['scale']"]
    assert {one.name: (one.cls, one.total.macs) for one in found.modules.walk() if one.cls != "Module"} == {
        "": ("Net", MACS),
        "blocks.0": ("Block", 2 * 8 * 8),
        "blocks.0.up": ("Linear", 2 * 8 * 8),
        "blocks.0.norm": ("LayerNorm", 0),
        "blocks.1": ("Block", 2 * 8 * 8),
        "blocks.1.up": ("Linear", 2 * 8 * 8),
        "blocks.1.norm": ("LayerNorm", 0),
        "head": ("Linear", 2 * 8 * 8),
    }


def test_a_file_is_the_program_and_its_size(program: ExportedProgram, file: Path) -> None:
    alone, found = measure(program, name="net"), measure(file)
    assert (found.name, found.named, found.file_bytes) == ("net", True, file.stat().st_size)
    assert (found.params, found.macs, found.weight_bytes) == (alone.params, alone.macs, alone.weight_bytes)
    assert [(one.name, one.cls, one.total) for one in found.modules.walk()] == [
        (one.name, one.cls, one.total) for one in alone.modules.walk()
    ]


def test_inputs_of_its_own_shape_and_no_others(program: ExportedProgram) -> None:
    assert measure(program, (torch.ones(2, 8),), {"scale": torch.ones(2, 8)}).macs == MACS
    layer = export(nn.Linear(8, 4), (torch.ones(2, 8),))
    assert measure(layer, inputs=(2, 8)).macs == 2 * 8 * 4
    with pytest.raises((AssertionError, RuntimeError), match=r"Guard failed|to be equal to 2, but got 3"):
        measure(layer, inputs=(3, 8))


def test_a_program_is_left_as_it_was(program: ExportedProgram) -> None:
    before = {name: tensor.clone() for name, tensor in program.state_dict.items()}
    measure(program)
    assert all(torch.equal(tensor, before[name]) for name, tensor in program.state_dict.items())


@pytest.mark.parametrize("train", [True, False])
def test_a_program_has_no_modes(program: ExportedProgram, train: bool) -> None:
    with pytest.raises(TypeError, match="train: Net runs as it was exported, and has no modes"):
        measure(program, train=train)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.pt2", None, "cannot be read: there is no such file"),
        ("text.pt2", b"text", "is no exported program$"),
        ("empty.pt2", b"PK\x05\x06" + bytes(18), "is no exported program$"),
        ("saved.pt2", {"a": 1}, "is no exported program$"),
        ("broken.pt2", "archive_format", "is no exported program that this torch loads: "),
    ],
)
def test_a_file_that_is_none(name: str, content: Any, says: str, tmp_path: Path) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif isinstance(content, str):
        with ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(f"net/{content}", "none")
    elif content:
        torch.save(content, tmp_path / name)
    with pytest.raises(MeasurementError, match=says) as caught:
        measure(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_of_another_kind() -> None:
    with pytest.raises(
        TypeError, match=r"net\.onnx: an artifact is a \.pt2 file, or a \.safetensors file or its index"
    ):
        measure(Path("net.onnx"))
