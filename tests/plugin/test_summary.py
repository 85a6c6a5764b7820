"""The screen at the end of a run: real runs, compared whole where they are small."""

from __future__ import annotations

import pytest

from .conftest import PLAIN_AND_N2, Run

THREE = """
@pytest.mark.budget(params="22.3K", macs="22K")
def test_a(): Net()(X)

@pytest.mark.budget(macs="21.5K")
def test_b(): Backbone()(X)

def test_c(model_budget): model_budget(Head())
"""
SUMMARY = [
    "================================ model budgets =================================",
    "model     params            MACs              status",
    "Backbone  22.21 K           22.00 K / 21.5 K  OVER MACs 2.3%",
    "Net       22.21 K / 22.3 K  22.00 K / 22 K    ok, at the limit (MACs)",
    "Head      22                -                 no budget",
    "1 of 3 models over budget, 1 within budget, 1 without a budget.",
    "Closest to its limit: Net's MACs, at the limit. 1 MAC = 2 FLOPs, train mode.",
]


def block(result: pytest.RunResult) -> list[str]:
    """Return the summary of the models, up to the next section."""
    lines = [line.rstrip() for line in result.outlines]
    start = next((number for number, line in enumerate(lines) if " model budgets " in line), len(lines))
    end = next((number for number in range(start + 1, len(lines)) if lines[number].startswith("===")), len(lines))
    return lines[start:end]


@PLAIN_AND_N2
def test_the_summary_does_not_depend_on_workers(run: Run, mode: list[str]) -> None:
    assert block(run(*mode, test_three=THREE)) == SUMMARY


def test_quiet_shows_only_what_is_wrong(run: Run) -> None:
    shown = block(run("-q", test_three=THREE))
    assert shown[1:3] == [
        "model     params   MACs              status",
        "Backbone  22.21 K  22.00 K / 21.5 K  OVER MACs 2.3%",
    ]


def test_quiet_says_nothing_where_all_is_well(run: Run) -> None:
    result = run("-q", test_one='@pytest.mark.budget(macs="22K")\ndef test(): Net()(X)')
    assert block(result) == []


def test_verbose_adds_the_trees_of_models_that_are_over(run: Run) -> None:
    test = """
    @pytest.mark.budget(macs="22K")
    def test_fine(): Net()(X)

    @pytest.mark.budget(macs="21K")
    def test_over(): Backbone()(X)
    """
    tree = [
        "Backbone: 1 MAC = 2 FLOPs; args[0] 1x100 float32; real run, train",
        "module                 params     MACs    of MACs",
        "Backbone (Backbone)   22.21 K  22.00 K       100%",
        "  first (Linear)      20.20 K  20.00 K      90.9%",
        "  last (Linear)          2010     2000       9.1%",
        "",
    ]
    shown = block(run("-v", test_two=test))
    assert shown[4:11] == ["", *tree]
    everything = block(run("-vv", test_two=test))
    start = everything.index(tree[0])
    assert everything[start : start + 6] == tree
    assert "Net: 1 MAC = 2 FLOPs; args[0] 1x100 float32; real run, train" in everything


def test_colours_follow_the_terminal(run: Run) -> None:
    result = run("--color=yes", test_three=THREE)
    text = result.stdout.str()
    assert "\x1b[32mok, at the limit (MACs)\x1b[0m" in text
    assert "\x1b[31mOVER MACs 2.3%\x1b[0m" in text
    assert "\x1b[" not in run("--color=no").stdout.str()


def test_an_expected_excess_is_no_alarm(run: Run) -> None:
    result = run("--color=yes", test_one="@pytest.mark.xfail\n@pytest.mark.budget(macs=1)\ndef test(): Net()(X)")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Net *\x1b[[]33mxfail: over MACs 2,199,900.0%\x1b[[]0m"])


def test_a_warning_is_shown_and_passes(run: Run) -> None:
    table = '[tool.modelbudget.models.Net]\nmacs = { max = "30K", warn = "20K" }\n'
    result = run("-q", test_one="@pytest.mark.budget\ndef test(): Net()(X)", pyproject=table)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Net *22.00 K / 30 K *warn, MACs above 20 K"])


def test_one_row_for_each_distinct_measurement_of_an_implicit_name(run: Run) -> None:
    result = run(
        test_rows="""
        @pytest.mark.budget(params="23K")
        @pytest.mark.parametrize("rows", [1, 2, 10, 1])
        def test_net(rows): Net()(torch.zeros(rows, 100))
        """
    )
    assert block(result)[1:] == [
        "model         params          MACs     status",
        "Net (1x100)   22.21 K / 23 K  22.00 K  ok, 3.4% left (params)",
        "Net (2x100)   22.21 K / 23 K  44.00 K  ok, 3.4% left (params)",
        "Net (10x100)  22.21 K / 23 K  220.0 K  ok, 3.4% left (params)",
        "3 models within budget.",
        "Closest to its limit: Net (1x100)'s params, 3.4% left.",
        "1 MAC = 2 FLOPs, train mode.",
    ]


def test_a_measurement_without_inputs_joins_the_one_that_ran(run: Run) -> None:
    result = run(
        test_twice="""
        def test_params(model_budget): model_budget(net, params="23K")
        def test_macs(model_budget): model_budget(net, X, macs="23K")
        """
    )
    assert block(result)[2] == "net    22.21 K / 23 K  22.00 K / 23 K  ok, 3.4% left (params)"
    assert result.ret == pytest.ExitCode.OK


def test_a_rerun_replaces_what_was_measured_before(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for report in runtestprotocol(item, nextitem=nextitem, log=False):
                if report.failed:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
            runtestprotocol(item, nextitem=nextitem)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        """
    )
    result = run(
        "--junitxml=junit.xml",
        test_flaky="""
        attempts = []
        @pytest.mark.budget(macs="22K")
        def test_net():
            attempts.append(1)
            Net()(torch.zeros(3 - len(attempts), 100))
        """,
    )
    assert result.ret == pytest.ExitCode.OK
    assert block(result)[2:] == [
        "Net    22.21 K  22.00 K / 22 K  ok, at the limit (MACs)",
        "1 model within budget.",
        "Closest to its limit: Net's MACs, at the limit. 1 MAC = 2 FLOPs, train mode.",
    ]
