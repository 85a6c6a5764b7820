"""Marks that arrive after the call limit nothing, and say so."""

from __future__ import annotations

import pytest

from .conftest import EVERY_MODE, PLAIN_AND_N2, Run, with_workers

SAYS = "a mark that is added when the call of the test has begun, or after model_budget has measured, limits nothing"
SOURCE = """
@pytest.fixture
def malformed(request):
    yield
    request.node.add_marker(pytest.mark.budget(macs="lots"))

@pytest.fixture
def late(request):
    yield
    request.node.add_marker(pytest.mark.budget(macs="1K"))

def test_unmarked(malformed): pass
def test_unmarked_with_a_limit(late): Net()(X)
@pytest.mark.budget(macs="1M")
def test_marked(malformed): Net()(X)
@pytest.mark.budget(macs="1M")
def test_marked_with_a_limit(late): Net()(X)
def test_measured(malformed, model_budget): model_budget(Net(), X)
def test_measured_with_a_limit(late, model_budget): model_budget(Net(), X)
@pytest.mark.xfail(strict=True)
def test_expected(late, model_budget): model_budget(Net(), X, macs="1K")
"""
NAMES = [line.partition("test_")[2].partition("(")[0] for line in SOURCE.splitlines() if "def test_" in line]


@EVERY_MODE
def test_a_mark_of_a_fixture_that_arrives_in_teardown_is_an_error(run: Run, mode: list[str]) -> None:
    result = run(*mode, test_late=SOURCE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=6, xfailed=1, errors=7)
    result.stdout.fnmatch_lines_random([f"ERROR test_late.py::test_{name} - *" for name in NAMES])
    said = [line for line in result.outlines if line.startswith("E ") and SAYS in line]
    assert len(said) == 7


@pytest.mark.parametrize(
    ("mode", "how"), with_workers(["trylast=True", "tryfirst=True", "wrapper=True"], "wrapper=True")
)
def test_a_mark_of_a_hook_that_arrives_in_teardown_is_an_error(
    run: Run, pytester: pytest.Pytester, mode: list[str], how: str
) -> None:
    pytester.makeconftest(
        f"""
        import pytest
        @pytest.hookimpl({how})
        def pytest_runtest_teardown(item):
            item.add_marker(pytest.mark.modelbudget(macs="1K"))
            {"return (yield)" if "wrapper" in how else ""}
        """
    )
    result = run(*mode, test_a="def test_a(): Net()(X)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*{SAYS}*"])


MEASURING = {"call": "def test_a(): Net()(X)", "fixture": "def test_a(model_budget): model_budget(Net(), X)"}


@pytest.mark.parametrize(("mode", "how"), with_workers(MEASURING, "fixture"))
def test_a_mark_of_a_hook_that_makes_reports_is_an_error(
    run: Run, pytester: pytest.Pytester, mode: list[str], how: str
) -> None:
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            if call.when == "call":
                item.add_marker(pytest.mark.budget(macs="1K"))
            return (yield)
        """
    )
    result = run(*mode, test_a=MEASURING[how])
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*{SAYS}*"])


@PLAIN_AND_N2
def test_a_mark_of_the_body_is_an_error_whether_or_not_the_fixture_has_measured(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_a="""
        @pytest.fixture
        def mark(request): return lambda: request.node.add_marker(pytest.mark.budget(macs="1K"))
        def test_after(mark, model_budget):
            model_budget(Net(), X)
            mark()
        def test_before(mark, model_budget):
            mark()
            model_budget(Net(), X)
        """,
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines_random(
        [f"*{SAYS}*", "ERROR test_a.py::test_after - *", "ERROR test_a.py::test_before*"]
    )


@PLAIN_AND_N2
def test_a_mark_that_setup_adds_when_the_fixture_has_measured_is_an_error(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_a="""
        @pytest.fixture
        def measured(model_budget): model_budget(Net(), X)
        @pytest.fixture
        def marked(request): request.node.add_marker(pytest.mark.budget(macs="1K"))
        def test_before(marked, measured): pass
        def test_after(measured, marked): pass
        """,
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines_random(
        ["E *BudgetExceeded: Net: macs*", f"*{SAYS}*", "ERROR test_a.py::test_after - *"]
    )


@PLAIN_AND_N2
def test_a_mark_of_a_hook_around_the_call_is_an_error(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            result = yield
            item.add_marker(pytest.mark.budget(macs="1K"))
            return result
        """
    )
    test = "def test_a(): Net()(X)\ndef test_b(model_budget): model_budget(Net(), X)"
    result = run(*mode, test_a=test)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines([f"*{SAYS}*"])


@PLAIN_AND_N2
def test_marks_that_were_there_before_are_none_of_these(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_a="""
        @pytest.mark.skip
        @pytest.mark.budget(macs="1M")
        def test_skipped(): Net()(X)

        @pytest.fixture
        def marks(request): request.node.add_marker(pytest.mark.budget(macs="1M"))

        @pytest.fixture
        def skips(marks): pytest.skip("no GPU")

        def test_skipped_in_setup(skips): Net()(X)
        def test_marked_in_setup(marks): Net()(X)

        @pytest.fixture
        def others(request):
            yield
            request.node.add_marker(pytest.mark.skip)

        def test_of_others(others): pass
        """,
    )
    result.assert_outcomes(passed=2, skipped=2)


def test_a_mark_that_is_left_to_the_whole_module_is_an_error_too(run: Run) -> None:
    result = run(
        test_a="""
        @pytest.fixture
        def marks(request):
            yield
            request.node.parent.add_marker(pytest.mark.budget(macs="1K"))

        def test_before(marks): Net()(X)
        def test_after(): Net()(X)
        """
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)


def test_a_mark_of_another_plugin_is_left_alone(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "pytest.ini").write_text("[pytest]\nmarkers = budget(usd): what a test may cost\n")
    late = (
        "import pytest\n@pytest.fixture\ndef late(request):\n    yield\n    request.node.add_marker(pytest.mark.{})\n"
    )
    pytester.makeconftest(late.format("budget(180)"))
    run(test_a="def test_a(late): pass").assert_outcomes(passed=1)
    pytester.makeconftest(late.format('budget(macs="1K")'))
    run(test_a="def test_a(late): pass").assert_outcomes(passed=1, errors=1)
