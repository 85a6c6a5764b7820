"""Every test here that asks for ``case`` runs once for each conformance case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from coverage import Coverage

from .case import Case
from .cases import CASES, FAMILIES
from .checks import RUNS

LEADING = {next((case.name for case in family if case.training_macs is not None), "") for family in FAMILIES}
"""One case of each family, where there is one that can be trained."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        marks = {case.name: [pytest.mark.skip(reason=case.unavailable)] if case.unavailable else [] for case in CASES}
        metafunc.parametrize("case", [pytest.param(case, id=case.name, marks=marks[case.name]) for case in CASES])


@pytest.fixture
def runs(case: Case, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return how to run what is measured in many ways: by shapes, and for one case of each family for real too."""
    return (*RUNS,) if case.name in LEADING or request.config.getoption("--full-matrix") else ("shape",)


@pytest.fixture
def not_covered() -> Iterator[None]:
    """Leave what only measures in yet another way out of coverage, which takes as long as the measuring."""
    coverage = Coverage.current()
    if coverage:
        coverage.stop()
    yield
    if coverage:
        coverage.start()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only wait for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Models may warn: prototypes, deprecations and hints of torch are not what is tested here."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
