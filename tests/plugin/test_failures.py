"""What a failed budget looks like, and how it behaves with the rest of pytest."""

from __future__ import annotations

import sys

import pytest

from .conftest import PLAIN_AND_N2, Run, with_workers


def test_the_whole_message(run: Run) -> None:
    result = run(
        test_net="""
        def test_net(model_budget):
            model_budget(
                net,
                input_size=(1, 100),
                macs="21.9K", params="23K",
            )
        """,
        pyproject='[tool.modelbudget.models.net]\nflops = "43K"\nmessage = "See docs/latency.md."\n',
    )
    lines = [line.rstrip() for line in result.outlines]
    start = next(number for number, line in enumerate(lines) if line.startswith("E   "))
    end = next(number for number, line in enumerate(lines) if number > start and not line.startswith("E"))
    assert lines[start:end] == [
        "E       BudgetExceeded: net: flops 44.00 K > 43 K (+2.3%), 1 more",
        "E",
        "E                value    limit",
        "E         FLOPs  44.00 K  43 K (+2.3%)",
        "E         MACs   22.00 K  21.9 K (+0.46%)",
        "E         limit: flops at pyproject.toml:2 [tool.modelbudget.models.net]",
        "E         limit: macs at test_net.py:3 model_budget()",
        "E         heaviest by FLOPs and MACs:",
        "E           first  Linear  40.00 K  90.9%",
        "E           last   Linear  4.00 K   9.1%",
        "E         counted: 1 MAC = 2 FLOPs; args[0] 1x100 float32; shape run, eval",
        "E         note: See docs/latency.md.",
    ]


@pytest.mark.parametrize(("mode", "ci"), with_workers(["", "true"], "true"))
def test_the_short_summary_says_it_in_one_line(
    run: Run, mode: list[str], ci: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ci:
        monkeypatch.setenv("CI", ci)
    tests = """
    @pytest.mark.budget(macs="21K")
    def test_m(): Net()(X)

    def test_f(model_budget): model_budget(net, X, macs="21K")
    """
    result = run(*mode, test_net=tests)
    lines = [line for line in result.outlines if "BudgetExceeded:" in line and not line.startswith("E ")]
    assert sorted(line.partition(" - ")[2] for line in lines) == [
        "BudgetExceeded: Net: macs 22.00 K > 21 K (+4.8%)",
        "BudgetExceeded: net: macs 22.00 K > 21 K (+4.8%)",
    ]
    start = next(number for number, line in enumerate(result.outlines) if "short test summary" in line)
    assert all(line.startswith(("FAILED ", "XFAIL ", "=")) for line in result.outlines[start:]), result.outlines[start:]


def test_the_traceback_of_a_call_ends_at_the_users_line(run: Run) -> None:
    result = run(test_net='def test(model_budget):\n    model_budget(Net(), X, macs="21K")')
    result.stdout.fnmatch_lines([">       model_budget(Net(), X, macs=*", "test_net.py:3: BudgetExceeded"])
    result.stdout.no_fnmatch_line("*pytest_modelbudget/*.py*")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('@pytest.mark.budget(macs="21K")\ndef test(): Net()(X)', 2),
        ('pytestmark = [pytest.mark.slow, pytest.mark.budget(macs="21K")]\ndef test(): Net()(X)', 2),
        ('@pytest.mark.budget(macs="21K")\nclass TestNet:\n    def test(self): Net()(X)', 2),
        ('class TestNet:\n    pytestmark = pytest.mark.budget(macs="21K")\n    def test(self): Net()(X)', 3),
        ('L = "21K"\n@pytest.mark.budget(params="1M")\n@pytest.mark.budget(macs=L)\ndef test(): Net()(X)', 4),
        (
            '@pytest.mark.parametrize("n", [\n  pytest.param(1, marks=pytest.mark.budget(macs="21K"))])\ndef test(n): Net()(X)',
            3,
        ),
        (
            'import unittest\nclass T(unittest.TestCase):\n    @pytest.mark.budget(macs="21K")\n    def test(self): Net()(X)',
            4,
        ),
        ('@pytest.mark.budget(\n    macs="21K",\n)\ndef test(): Net()(X)', 2),
        (
            'def outer():\n    @pytest.mark.budget(macs="21K")\n    def test(): Net()(X)\n    return test\ntest = outer()',
            3,
        ),
        ('budget = pytest.mark.budget\n@budget(macs="21K")\ndef test(): Net()(X)', 3),
        ('@pytest.mark.budget(macs="21K")\nclass Base: pass\nclass TestNet(Base):\n    def test(self): Net()(X)', 2),
    ],
)
def test_a_mark_is_found_in_the_source(run: Run, source: str, line: int) -> None:
    result = run("-W", "ignore::pytest.PytestUnknownMarkWarning", test_net=source)
    result.stdout.fnmatch_lines(
        [f"E *limit: macs at test_net.py:{line} @pytest.mark.budget", f"test_net.py:{line}: BudgetExceeded"]
    )


def test_a_mark_without_a_line_names_the_file(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items: item.add_marker(pytest.mark.budget(macs="21K"))
        """
    )
    result = run(test_net="def test(): Net()(X)")
    result.stdout.fnmatch_lines(["E *limit: macs at test_net.py @pytest.mark.budget", "test_net.py:2: BudgetExceeded"])


def test_those_who_took_a_papers_flops_are_told(run: Run) -> None:
    result = run(test_net='@pytest.mark.budget(flops="22K")\ndef test(): Net()(X)')
    result.stdout.fnmatch_lines(["E *hint: Net's 22 K are MACs; did you mean macs='22K'?"])
    other = run(test_net='@pytest.mark.budget(flops="43K")\ndef test(): Net()(X)')
    other.stdout.no_fnmatch_line("*hint*")


def test_those_who_took_a_papers_rounded_figure_are_told(run: Run) -> None:
    result = run(test_net='def test(model_budget): model_budget(Net(), X, params="22K")')
    result.stdout.fnmatch_lines(["E *hint: 22,210 is written 22K in papers; a limit that holds is 22.3K"])
    far = run(test_net='def test(model_budget): model_budget(Net(), X, params="0.02M")')
    far.stdout.no_fnmatch_line("*in papers*")


def test_stop_at_the_first_excess(run: Run) -> None:
    result = run(
        "-x",
        test_net="""
        @pytest.mark.budget(macs=1)
        def test_a(): Net()(X)
        def test_b(): pass
        """,
    )
    result.assert_outcomes(failed=1)


def test_the_debugger_opens_at_what_was_decided(run: Run, pytester: pytest.Pytester) -> None:
    run(
        test_net="""
        def test_excess(model_budget):
            mine = 41
            model_budget(Net(), X, macs=1)

        @pytest.mark.budget(macs=1)
        def test_mark(): Net()(X)

        @pytest.mark.xfail
        @pytest.mark.budget(macs=1)
        def test_unmet(): raise ValueError

        @pytest.mark.xfail
        def test_malformed(model_budget): model_budget(Net(), X, macs="lots")
        """
    )
    result = pytester.run(sys.executable, "-m", "pytest", "--pdb", stdin=b"p mine + 1\nc\nc\nc\nc\n")
    opened = ["E *Budget*", "*entering PDB*", "(Pdb) *"]
    result.stdout.fnmatch_lines(["*Net: macs 22,000 > 1 *", "*entering PDB*", "(Pdb) 42", *opened, *opened, *opened])


@PLAIN_AND_N2
def test_a_subtest_shows_its_excess(run: Run, mode: list[str]) -> None:
    pytest.importorskip("_pytest.subtests", reason="subtests came with pytest 9")
    result = run(
        *mode,
        test_net="""
        def test_net(model_budget, subtests):
            with subtests.test("big"):
                model_budget(Net(), X, macs=1)
            with subtests.test("small"):
                model_budget(Head(), params=22)
        """,
    )
    result.stdout.fnmatch_lines(["Net *OVER MACs *", "Head *ok, at the limit (params)"])
    result.stdout.no_fnmatch_line("*swallowed*")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_doctests_of_a_marked_module(run: Run) -> None:
    result = run(
        "--doctest-modules",
        test_docs='''
        pytestmark = pytest.mark.budget(macs="1K")
        def documented():
            """
            >>> Net()(X).shape
            torch.Size([1, 10])
            """
        ''',
    )
    result.stdout.fnmatch_lines(["*Net: macs 22.00 K > 1 K *"])


def test_a_doctest_can_use_the_fixture(run: Run) -> None:
    result = run(
        "--doctest-modules",
        test_docs='''
        def documented():
            """
            >>> getfixture("model_budget")(Net(), X, macs="1K")
            """
        ''',
    )
    result.stdout.fnmatch_lines(["*BudgetExceeded: Net: macs 22.00 K > 1 K *"])
    result.stdout.no_fnmatch_line("*swallowed*")


@pytest.mark.parametrize("mode", [[], pytest.param(["-n1"], marks=pytest.mark.slow)])
def test_the_engine_is_loaded_before_the_test_is_called(pytester: pytest.Pytester, mode: list[str]) -> None:
    """Under hypothesis an example has 200 ms, and loading takes seconds."""
    pytester.makepyfile('import sys\ndef test_a(model_budget): assert "pytest_modelbudget.counting" in sys.modules')
    pytester.runpytest_subprocess(*mode).assert_outcomes(passed=1)


def test_a_call_after_the_test_is_refused(run: Run) -> None:
    result = run(
        test_net="""
        kept = []
        def test_a(model_budget): kept.append(model_budget)
        def test_b(): kept[0](Net(), X, macs="1M")
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *BudgetError: model_budget was called at test_net.py:4 *after its test had ended"])
