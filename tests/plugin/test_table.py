"""The table of a project: found or refused before anything runs, the same for every worker."""

from __future__ import annotations

import pytest

from .conftest import EVERY_MODE, PLAIN_AND_N2, Run

NET = """
@pytest.mark.budget
def test_net(): Net()(X)
"""


@PLAIN_AND_N2
def test_mistakes_are_usage_errors_one_line_each(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_net=NET,
        pyproject="""
        [tool.modelbudget]
        growht = "0%"
        [tool.modelbudget.models.Net]
        macs = "4.1g"
        param = 3
        """,
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: pyproject.toml:2: tool.modelbudget.growht is not a key of the plugin; did you mean growth?",
            'pyproject.toml:4: tool.modelbudget.models.Net.macs = "4.1g": prefixes are case-sensitive: write G. *',
            "pyproject.toml:5: tool.modelbudget.models.Net.param is not a key of the plugin; did you mean params?",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@PLAIN_AND_N2
def test_broken_toml_names_file_line_and_column(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    (pytester.path / "budgets.toml").write_text("[tool.modelbudget.models.Net]\nmacs = = 3\n")
    result = run(*mode, "--modelbudget-config=budgets.toml", test_net=NET)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: budgets.toml:2:8: is not valid TOML: Invalid value"])


def test_a_broken_pyproject_is_refused_whoever_reads_it_first(run: Run) -> None:
    result = run(test_net=NET, pyproject="[tool.modelbudget.models.Net]\nmacs = = 3\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pyproject.toml*2*8*"])


def test_without_a_pyproject_marks_bring_their_own_limits(run: Run) -> None:
    result = run(test_net='@pytest.mark.budget(macs="22K")\ndef test_net(): Net()(X)')
    assert result.ret == pytest.ExitCode.OK


@PLAIN_AND_N2
def test_without_a_pyproject_a_bare_mark_fails(run: Run, mode: list[str]) -> None:
    result = run(*mode, test_net=NET)
    result.stdout.fnmatch_lines(
        [
            "*no limit applies to Net: give one to the mark, or to the model in pyproject.toml: [[]tool.modelbudget.models.Net]*"
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@PLAIN_AND_N2
def test_another_file_can_hold_the_table_for_every_worker(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        "--modelbudget-config=ci/budgets_pyproject.toml",
        test_net="""
        @pytest.mark.budget
        def test_over(): Net()(X)
        def test_convention(model_budget): assert model_budget(Backbone(), X).flops == 22000
        def test_unbudgeted(model_budget): model_budget(Head())
        """,
        pyproject="[tool.modelbudget.default]\nmacs = 1\n",
        ci__budgets_pyproject="""
        [tool.modelbudget]
        unbudgeted = "error"
        flops_per_mac = 1
        [tool.modelbudget.models.Net]
        macs = "21K"
        [tool.modelbudget.models."Back*"]
        flops = "22K"
        """,
    )
    result.stdout.fnmatch_lines(["E *limit: macs at ci/budgets_pyproject.toml:5 [[]tool.modelbudget.models.Net[]]"])
    result.stdout.fnmatch_lines(
        [
            "Head *no budget",
            "1 of 3 models over budget, 1 within budget, 1 without a budget.",
            "*1 MAC = 1 FLOP, train mode.",
        ]
    )
    result.stdout.fnmatch_lines(["FAILED *::test_unbudgeted - BudgetError: Head: no limit applies, *"])
    result.assert_outcomes(passed=1, failed=2)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read: No such file or directory"), ("[tool.other]\n", "holds no [[]tool.modelbudget] table")],
)
def test_a_file_that_was_asked_for_has_to_hold_a_table(
    run: Run, pytester: pytest.Pytester, content: str | None, says: str
) -> None:
    if content:
        (pytester.path / "other.toml").write_text(content)
    result = run("--modelbudget-config=other.toml", test_net=NET)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: other.toml: {says}"])


def test_a_file_that_is_not_utf8_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "other.toml").write_bytes(b"[tool.modelbudget]\n# \xff\n")
    result = run("--modelbudget-config=other.toml", test_net=NET)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: other.toml: is not UTF-8: invalid start byte at byte 21"])


def test_a_pyproject_that_only_names_the_plugin_has_no_table(run: Run) -> None:
    result = run(
        test_net="def test(): pass", pyproject='[project]\nname = "x"\ndependencies = ["pytest-modelbudget"]\n'
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*model budgets*")


def test_strict_config_accepts_the_table(run: Run) -> None:
    result = run(
        "--strict-config", "--strict-markers", test_net=NET, pyproject='[tool.modelbudget.default]\nmacs = "1M"\n'
    )
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(("policy", "says"), [("report", "no budget"), ("warn", "warn, no budget")])
def test_a_model_without_a_budget_may_be_tolerated(run: Run, policy: str, says: str) -> None:
    table = f'[tool.modelbudget]\nunbudgeted = "{policy}"\n'
    result = run(test_net="def test_net(model_budget): model_budget(Net(), X)", pyproject=table)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"Net *{says}"])


UNKNOWN = """
import torch

library = torch.library.Library("budget_tests", "DEF")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: x + x, "CompositeExplicitAutograd")

class Custom(Net):
    def forward(self, x):
        return torch.ops.budget_tests.twice(super().forward(x))

@pytest.mark.budget(macs="1M")
def test_observed(): Custom()(X)

def test_measured(model_budget): model_budget(Custom(), X, macs="1M")
"""


NEVER_CALLED = """
import unittest
@pytest.fixture
def around(model_budget): return model_budget
def test_by_name(model_budget): Net()(X)
@pytest.mark.usefixtures("model_budget")
def test_by_mark(): Net()(X)
def test_around(around): Net()(X)
def test_in_the_body(request): request.getfixturevalue("model_budget")
class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def budget(self, model_budget): pass
    def test_case(self): Net()(X)
"""


@EVERY_MODE
def test_a_fixture_that_nobody_calls_is_said(run: Run, mode: list[str]) -> None:
    result = run(*mode, test_net=NEVER_CALLED)
    result.assert_outcomes(passed=5)
    said = " ".join(result.outlines).partition("model_budget was asked for and never called in ")[2]
    for name in ("by_name", "by_mark", "around", "in_the_body", "case"):
        assert f"test_{name}" in said


@EVERY_MODE
def test_a_fixture_that_nobody_calls_may_be_an_error(run: Run, mode: list[str]) -> None:
    result = run(*mode, test_net=NEVER_CALLED, pyproject='[tool.modelbudget]\nunbudgeted = "error"\n')
    result.assert_outcomes(failed=5)
    assert "the test asked for model_budget and never called it" in result.stdout.str()


def test_an_operator_without_a_formula_fails_by_default(run: Run) -> None:
    result = run(test_custom=UNKNOWN)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*BudgetError: Custom: lower bound: budget_tests::twice has no formula",
            "E *ran: budget_tests::twice in Custom (1 call)",
            'E*register one: @pytest_modelbudget.formula("budget_tests::twice")',
            "Custom *lower bound: budget_tests::twice has no formula",
        ]
    )


def test_operators_without_a_formula_may_be_tolerated(run: Run) -> None:
    result = run(
        test_custom=UNKNOWN.replace("budget_tests", "budget_tests_2"),
        pyproject='[tool.modelbudget]\nunknown_ops = "warn"\n',
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["Custom *lower bound: budget_tests_2::twice has no formula"])


def test_a_conftest_gives_formulas(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_modelbudget_formulas():
            return {"budget_tests_3::twice": lambda x, *, out_shape, **_: 1000 * out_shape[0]}
        """
    )
    result = run(test_custom=UNKNOWN.replace("1M", "22.5K").replace("budget_tests", "budget_tests_3"))
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*Custom: macs 23.00 K > 22.5 K *"])


def test_formulas_that_are_no_mapping_are_refused(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_modelbudget_formulas(): return [1]")
    result = run(test_net='def test(model_budget): model_budget(Net(), X, macs="1M")')
    result.stdout.fnmatch_lines(["E*BudgetError: the hook pytest_modelbudget_formulas failed: TypeError: *"])


def test_help_and_markers_show_what_there_is(run: Run) -> None:
    shown = run("--help")
    shown.stdout.fnmatch_lines(["model budgets:", "*--modelbudget-config=PATH*", "*modelbudget_junit (bool)*"])
    run("--markers").stdout.fnmatch_lines(["@pytest.mark.budget(*", "@pytest.mark.modelbudget(*"])


@PLAIN_AND_N2
def test_exponents_are_a_budget(run: Run, mode: list[str]) -> None:
    table = """
    [tool.modelbudget]
    unbudgeted = "error"
    [tool.modelbudget.models.net]
    factory = "models:Net"
    inputs = "{1,2,4}x100"
    scaling = { macs = "linear" }
    [tool.modelbudget.models."a.head"]
    factory = "models:Head"
    inputs = "1x10"
    """
    scaled = 'def test_net(model_budget): model_budget.scaling(Net(), "{1,2}x100", name="other", macs="linear")'
    result = run(*mode, pyproject=table, test_net=scaled)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ['*no limit applies, *or to the model in the table: [[]tool.modelbudget.models."a.head"]']
    )
