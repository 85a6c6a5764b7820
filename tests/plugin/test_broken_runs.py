"""Runs in which something else breaks: they fail, and nothing is lost in silence."""

from __future__ import annotations

import pytest

from .conftest import EVERY_MODE, Run
from .junit import counts


@EVERY_MODE
def test_subclasses_of_builtins_are_what_they_stand_for(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_net="""
        import enum, numpy
        class Sizes(enum.IntEnum):
            NET = 22_209
        class Text(str):
            def __str__(self): return "another"
        @pytest.mark.budget(params=Sizes.NET, name=numpy.str_("mine"))
        def test_mark(): Net()(X)
        def test_call(model_budget): model_budget(Net(), X, name=numpy.str_("called"), macs=numpy.str_("21K"))
        def test_text(model_budget): model_budget(Head(), name=Text("text"), params=Text("21"))
        def test_number(model_budget): model_budget(Net(), X, macs=numpy.int64(21_000))
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for part in (
        "mine: params 22,210 > 22,209",
        "called: macs 22.00 K > 21 K",
        "text: params 22 > 21",
        "a limit is an int or a string, not int64",
    ):
        assert part in result.stdout.str()


@EVERY_MODE
@pytest.mark.parametrize(
    "name",
    [r"line\nbreak", r"bell\a", r"\ud800", r"\x7f", r"\x85", " ", r"\u200b", r"\u202ea", r"a\u2028b", "a ", r"a\ufffe"],
)
def test_names_that_no_report_can_show_are_refused(run: Run, mode: list[str], name: str) -> None:
    if mode == ["-n2"] and name != r"\ud800":
        return
    result = run(
        *mode,
        "--junitxml=junit.xml",
        test_net=f"""
        @pytest.mark.budget(macs="1M", name="{name}")
        def test_mark(): Net()(X)
        def test_call(model_budget): model_budget(Net(), X, name="{name}")
        """,
    )
    result.assert_outcomes(failed=1, errors=1)
    assert "no control characters and no lone surrogates" in result.stdout.str()


@EVERY_MODE
def test_models_that_raise_when_they_are_looked_at(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_net="""
        class Broken(Net):
            def broken(self, *_): raise ZeroDivisionError("looked at")
            __repr__ = __str__ = __eq__ = __hash__ = __len__ = __bool__ = extra_repr = broken
        @pytest.mark.budget(macs="21K")
        def test_mark(): Broken()(X)
        def test_call(model_budget): model_budget(Broken(), X, macs="21K")
        def test_factory(model_budget): model_budget(Broken, X, macs="21K")
        """,
    )
    result.assert_outcomes(failed=3)
    shown = "\n".join(line for line in result.outlines if line.startswith("FAILED"))
    assert shown.count("BudgetExceeded: Broken: macs") == 3


@EVERY_MODE
def test_a_wrong_hook_for_formulas_cannot_be_passed_by(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    pytester.makeconftest("def pytest_modelbudget_formulas(): return [1]")
    result = run(
        *mode,
        test_net="""
        import contextlib
        def test_call(model_budget): model_budget(Net(), X, macs="1M")
        def test_swallowed(model_budget):
            with contextlib.suppress(Exception): model_budget(Net(), X, macs="1M")
        @pytest.mark.xfail
        def test_xfail(model_budget): model_budget(Net(), X, macs="1M")
        @pytest.mark.budget(macs="1M")
        def test_mark(): Net()(X)
        @pytest.mark.xfail
        @pytest.mark.budget(macs="1M")
        def test_mark_under_xfail(): Net()(X)
        """,
    )
    result.assert_outcomes(failed=5)


@EVERY_MODE
@pytest.mark.parametrize("hook", ["return {'twice': len}", "return {'a::b': 3}", "raise KeyError('formulas')"])
def test_a_broken_hook_for_formulas_cannot_be_passed_by(
    run: Run, pytester: pytest.Pytester, mode: list[str], hook: str
) -> None:
    if mode and "raise" not in hook:
        return
    pytester.makeconftest(f"def pytest_modelbudget_formulas(): {hook}")
    result = run(
        *mode,
        test_net="""
        @pytest.mark.xfail
        def test_call(model_budget): model_budget(Net(), X, macs="1M")
        @pytest.mark.xfail
        @pytest.mark.budget(macs="1M")
        def test_mark(): Net()(X)
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.no_fnmatch_line("*called no module*")


@EVERY_MODE
def test_properties_of_users_may_have_any_name(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_net="""
        def test_net(record_property, model_budget):
            record_property(5, "x")
            model_budget(Head())
        """,
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Head *no budget"])


def test_what_others_append_to_the_properties_is_left_alone(run: Run) -> None:
    result = run(
        test_net="""
        def test_net(request, model_budget):
            request.node.user_properties += [5, (), ("a", 1, 2), ["modelbudgets", 1]]
            model_budget(Head())
        """,
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Head *no budget"])


def test_a_run_that_only_sets_up_misses_no_model(run: Run) -> None:
    files = {
        "pyproject": "[tool.modelbudget.models.Net]\nparams = 10\n",
        "test_net": "def test_net(model_budget): model_budget(Net(), X)",
    }
    for option in ("--setup-only", "--setup-plan"):
        assert run(option, **files).ret == pytest.ExitCode.OK
    assert run(**files).ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
@pytest.mark.parametrize("when", ["call", "teardown"])
@pytest.mark.parametrize("others", [0, 4])
def test_an_internal_error_of_a_worker_fails_the_run(
    run: Run, pytester: pytest.Pytester, when: str, others: int
) -> None:
    pytester.makeconftest(
        f"""
        import os

        def pytest_runtest_makereport(item, call):
            if "PYTEST_XDIST_WORKER" in os.environ and item.name == "test_breaks" and call.when == "{when}":
                raise ZeroDivisionError("a plugin with a mistake")
        """
    )
    result = run(
        "-n2",
        "-p",
        "no:hypothesispytest",
        "--junitxml=junit.xml",
        test_net=f"""
        def test_breaks(model_budget): model_budget(Net(), X, macs="1M")
        @pytest.mark.parametrize("n", range({others}))
        def test_net(model_budget, n): model_budget(Net(), X)
        """,
    )
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERNAL_ERROR)
    assert "a plugin with a mistake" in result.stdout.str()
    if result.ret == pytest.ExitCode.TESTS_FAILED:  # where xdist itself goes on as if nothing had happened
        assert counts(pytester.path / "junit.xml")["failures"] == 1


def test_what_was_put_right_is_not_run_again(run: Run, pytester: pytest.Pytester) -> None:
    def pytest_run(*options: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(*options)

    run(test_one='def test_a(model_budget): model_budget(Net(), X, name="net")')
    (pytester.path / "test_two.py").write_text(
        'from models import *\ndef test_b(model_budget): model_budget(Net(300), X, name="net")\n'
    )
    assert pytest_run().ret == pytest.ExitCode.TESTS_FAILED
    (pytester.path / "test_two.py").unlink()
    again = pytest_run("--lf")
    assert again.ret == pytest.ExitCode.OK
    again.stdout.no_fnmatch_line("*known failure*")
