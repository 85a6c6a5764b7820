"""Where another plugin has registered a mark that is called ``budget`` too."""

from __future__ import annotations

import pytest

from .conftest import PLAIN_AND_N2, Run


@pytest.fixture
def shared(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_configure(config):
            config.addinivalue_line("markers", "budget(seconds): how long a test may take")
        """
    )


@PLAIN_AND_N2
@pytest.mark.usefixtures("shared")
def test_the_marks_of_another_plugin_are_left_alone(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        "--strict-markers",
        test_marks="""
        @pytest.mark.budget
        def test_category(): Net()(X)
        @pytest.mark.budget(180)
        def test_seconds(): pass
        @pytest.mark.budget(max_usd=3)
        def test_price(): pass
        @pytest.mark.budget(macs="22K")
        def test_ours(): Net()(X)
        """,
    )
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["1 model within budget*"])


@PLAIN_AND_N2
@pytest.mark.usefixtures("shared")
def test_ours_and_near_misses_are_still_held_to(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_marks="""
        @pytest.mark.budget(macs="21K")
        def test_over(): Net()(X)
        @pytest.mark.budget(flop="4.1G")
        def test_near_miss(): Net()(X)
        @pytest.mark.budget("4.1g")
        def test_positional(): Net()(X)
        @pytest.mark.modelbudget
        def test_alias(): Net()(X)
        """,
    )
    result.assert_outcomes(failed=2, errors=2)


def test_a_marker_in_the_ini_file_counts_as_registered(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "pytest.ini").write_text("[pytest]\nmarkers = budget: tests of the accounting department\n")
    assert run(test_marks="@pytest.mark.budget\ndef test_accounts(): pass").ret == pytest.ExitCode.OK
