"""A run without budgets: nothing imported, nothing printed, nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import sys
import pytest

class Probe:
    def pytest_sessionfinish(self):
        self.modules = {name for name in sys.modules}

probe = Probe()
options = ["-p", "no:xdist", "-p", "no:cov", "-p", "no:hypothesispytest", "-p", "no:cacheprovider", *sys.argv[1:]]
code = pytest.main(options, plugins=[probe])
print("MODULES", *sorted(probe.modules))
sys.exit(code)
"""
HEAVY = {"torch", "msgspec", "tabulate", "numpy"}


def run_probe(folder: Path, *options: str) -> tuple[set[str], list[str]]:
    (folder / "probe.py").write_text(PROBE)
    command = [sys.executable, "probe.py", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *screen, modules = done.stdout.splitlines()
    return set(modules.split()[1:]), screen


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_plain.py").write_text(
        "import pytest\n\ndef test(tmp_path): pass\n\n@pytest.mark.skip\ndef test_b(): pass\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '--strict-config --strict-markers'\n"
    )
    return tmp_path


def test_a_run_without_budgets_costs_at_most_ten_modules(project: Path) -> None:
    without, quiet = run_probe(project, "-p", "no:modelbudget")
    before = set(project.rglob("*.xml")) | set(project.rglob("*.json"))
    loaded, screen = run_probe(project)
    added = loaded - without
    assert len(added) <= 10, sorted(added)
    assert not {name.partition(".")[0] for name in added} - {"pytest_modelbudget"}
    assert not HEAVY & loaded
    assert set(project.rglob("*.xml")) | set(project.rglob("*.json")) == before
    assert [line for line in screen if "plugins:" not in line and " in " not in line] == [
        line for line in quiet if "plugins:" not in line and " in " not in line
    ]


def test_a_table_alone_imports_no_torch(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.modelbudget.default]\nparams = '1M'\n")
    loaded, screen = run_probe(project)
    assert "torch" not in loaded
    assert [line for line in screen if "model budgets" in line] == ["model budgets: pyproject.toml (default)"]


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, pytest_modelbudget; print(sorted(set(sys.modules) & {'torch', 'msgspec', 'pytest'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_budgets_and_reports_import_neither_torch_nor_pytest() -> None:
    code = (
        "import sys, pytest_modelbudget.budgets.config_file, pytest_modelbudget.reports.terminal, "
        "pytest_modelbudget.reports.message, pytest_modelbudget.reports.junit, pytest_modelbudget.results; "
        "print(sorted(set(sys.modules) & {'torch', 'pytest'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
