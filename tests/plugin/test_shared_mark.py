"""Where another plugin has registered a mark that is called ``budget`` too."""

from __future__ import annotations

import pytest

from .conftest import EVERY_MODE, PLAIN_AND_N2, Run


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


@EVERY_MODE
def test_a_name_that_is_nearly_ours_is_an_error(run: Run, mode: list[str]) -> None:
    names = ("budgets", "Budget", "buget", "model_budget", "modelbudgets", "ModelBudget")
    tests = [f"@pytest.mark.{name}(macs='1K')\ndef test_{name}(): Net()(X)\n" for name in names]
    ignoring = "ignore::pytest.PytestUnknownMarkWarning"
    result = run(*mode, "-W", ignoring, test_marks="".join(tests))
    result.assert_outcomes(errors=6)
    for name in names:
        said = f"*@pytest.mark.{name} at test_marks.py:* is unknown, and limits nothing: write @pytest.mark.budget"
        result.stdout.fnmatch_lines_random([said])


def test_marks_that_have_little_in_common_with_ours_are_left_alone(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest('def pytest_configure(config): config.addinivalue_line("markers", "budgets: of ours")')
    ignoring = "ignore::pytest.PytestUnknownMarkWarning"
    test = """
    @pytest.mark.budgets(macs="1K")
    @pytest.mark.latency_budget(macs="1K")
    @pytest.mark.buget(180)
    @pytest.mark.slow(params=3)
    def test_a(): Net()(X)
    """
    result = run("-W", ignoring, test_marks=test)
    result.assert_outcomes(passed=1)
    assert "model budgets" not in result.stdout.str()


def test_a_marker_in_the_ini_file_counts_as_registered(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "pytest.ini").write_text("[pytest]\nmarkers = budget: tests of the accounting department\n")
    assert run(test_marks="@pytest.mark.budget\ndef test_accounts(): pass").ret == pytest.ExitCode.OK
