"""The memory that a real run may take is what the container leaves, not what the machine has."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import pytest

from pytest_modelbudget.counting.real_run import memory


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_MEMBERSHIP", tmp_path / "membership")
    return tmp_path


def test_without_control_groups_it_is_what_the_machine_has(root: Path) -> None:
    available = psutil.virtual_memory().available
    assert abs(memory.free_memory() - available) < available // 2


def test_version_2(root: Path) -> None:
    (root / "membership").write_text("0::/pod/box\n")
    write(
        root / "cgroup/pod/box",
        memory__max="3000\n",
        memory__current="2500\n",
        memory__stat="anon 9\ninactive_file 400\n",
    )
    assert memory.free_memory() == 3000 - 2500 + 400
    write(root / "cgroup/pod", memory__max="5000\n", memory__current="4900\n")  # the pod has less left than its box
    assert memory.free_memory() == 100
    write(root / "cgroup/pod", memory__max="max\n")
    assert memory.free_memory() == 900


def test_version_2_seen_from_inside_a_container(root: Path) -> None:
    (root / "membership").write_text("0::/\n")
    write(root / "cgroup", memory__max="700\n", memory__current="800\n")
    assert memory.free_memory() == 0


def test_version_1(root: Path) -> None:
    (root / "membership").write_text("5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n")
    write(root / "cgroup/memory", memory__limit_in_bytes="9223372036854771712\n", memory__usage_in_bytes="1000\n")
    write(root / "cgroup/memory/box", memory__limit_in_bytes="800\n", memory__usage_in_bytes="300\n")
    assert memory.free_memory() == 500


def test_version_1_seen_from_inside_a_container(root: Path) -> None:
    (root / "membership").write_text("4:memory:/docker/1234\n")
    write(root / "cgroup/memory", memory__limit_in_bytes="800\n", memory__usage_in_bytes="300\n")
    assert memory.free_memory() == 500


def test_where_nothing_says_how_much_is_free_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden() -> None:
        raise FileNotFoundError("/proc/meminfo")

    monkeypatch.setattr(memory.psutil, "virtual_memory", hidden)
    monkeypatch.setattr(memory, "_lines", lambda path: [])
    assert memory.free_memory() == math.inf
